"""faiss' IndexHNSW: `f32`, or `sq8`, codes of 8 bits. Whole numbers from 0 to 255 are their own codes (QT_8bit_direct, exact); others are trained, and
twice k candidates are ranked again by IndexRefineFlat."""

import sys

import faiss

from base import Peer, Stopwatch, serve


class Faiss(Peer):
    def __init__(self, codes):
        self.codes = codes
        faiss.omp_set_num_threads(1)

    def version(self):
        return faiss.__version__

    def build(self, ask, rows):
        metric = faiss.METRIC_INNER_PRODUCT if ask.metric == "cosine" else faiss.METRIC_L2
        whole = bool((rows == rows.round()).all()) and rows.min() >= 0 and rows.max() <= 255
        watch = Stopwatch()
        if self.codes == "f32":
            graph = faiss.IndexHNSWFlat(ask.dim, ask.m, metric)
        else:
            graph = faiss.IndexHNSWSQ(ask.dim, faiss.ScalarQuantizer.QT_8bit_direct if whole else faiss.ScalarQuantizer.QT_8bit, ask.m, metric)
        graph.hnsw.efConstruction = ask.ef_construction
        index = graph if self.codes == "f32" or whole else faiss.IndexRefineFlat(graph)
        index.train(rows)
        index.add(rows)
        spent = watch.lap()
        faiss.write_index(index, f"{ask.folder}/index.bin")
        return {"index": spent}

    def open(self, ask):
        self.index = faiss.read_index(f"{ask.folder}/index.bin")
        self.graph = self.index
        if isinstance(self.index, faiss.IndexRefineFlat):
            self.index.k_factor = 2
            self.graph = faiss.downcast_index(self.index.base_index)

    def prepare(self, query):
        return query.reshape(1, -1)

    def searcher(self, ask):
        self.graph.hnsw.efSearch = ask.ef
        return lambda query: self.index.search(query, ask.k)

    def ids(self, answer):
        return answer[1][0]


serve(Faiss(sys.argv[1]))
