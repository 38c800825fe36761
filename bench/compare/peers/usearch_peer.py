"""usearch: `f32`, or `bf16`, what it chooses by itself on many processors."""

import sys

import numpy
import usearch
from usearch.index import Index

from base import Peer, Stopwatch, serve


class Usearch(Peer):
    def __init__(self, kind):
        self.kind = kind

    def version(self):
        return usearch.__version__

    def build(self, ask, rows):
        watch = Stopwatch()
        index = Index(
            ndim=ask.dim,
            metric="ip" if ask.metric == "cosine" else "l2sq",
            dtype=self.kind,
            connectivity=ask.m,
            expansion_add=ask.ef_construction,
            enable_key_lookups=False,
        )
        index.add(numpy.arange(len(rows)), rows, threads=1)
        spent = watch.lap()
        index.save(f"{ask.folder}/index.usearch")
        return {"index": spent}

    def open(self, ask):
        self.index = Index.restore(f"{ask.folder}/index.usearch", enable_key_lookups=False)

    def searcher(self, ask):
        self.index.expansion_search = ask.ef
        return lambda query: self.index.search(query, ask.k, threads=1)

    def ids(self, answer):
        return answer.keys


serve(Usearch(sys.argv[1]))
