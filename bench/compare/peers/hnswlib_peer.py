"""hnswlib through its Python module: beside hnswlib_runner it shows what a call from Python costs."""

import hnswlib

from base import Peer, Stopwatch, serve


class Hnswlib(Peer):
    def version(self):
        return "0.8.0"

    def space(self, ask):
        return hnswlib.Index(space="ip" if ask.metric == "cosine" else "l2", dim=ask.dim)

    def build(self, ask, rows):
        watch = Stopwatch()
        index = self.space(ask)
        index.init_index(max_elements=len(rows), M=ask.m, ef_construction=ask.ef_construction)
        index.add_items(rows, num_threads=1)
        spent = watch.lap()
        index.save_index(f"{ask.folder}/index.bin")
        return {"index": spent}

    def open(self, ask):
        self.index = self.space(ask)
        self.index.load_index(f"{ask.folder}/index.bin")

    def searcher(self, ask):
        self.index.set_ef(ask.ef)
        return lambda query: self.index.knn_query(query, k=ask.k, num_threads=1)

    def ids(self, answer):
        return answer[0][0]


serve(Hnswlib())
