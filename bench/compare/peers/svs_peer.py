"""Intel's Scalable Vector Search, Vamana: `f32`, `u8` (whole numbers from 0 to 255 as they are) or `lvq8` (its own codes of 8 bits; Intel processors only)."""

import pathlib
import sys
from importlib.metadata import version

import numpy
import svs

from base import Peer, Stopwatch, serve

# What corresponds to m = 16, which has 32 links on the lowest level, and ef_construction = 200.
DEGREE, WINDOW = 32, 200


class Svs(Peer):
    def __init__(self, codes):
        self.codes = codes
        self.element = svs.DataType.uint8 if codes == "u8" else svs.DataType.float32

    def version(self):
        return version("scalable-vs")

    def distance(self, ask):
        return svs.DistanceType.MIP if ask.metric == "cosine" else svs.DistanceType.L2

    def build(self, ask, rows):
        # alpha as the documentation says: above 1 for distances, below for inner products.
        parameters = svs.VamanaBuildParameters(graph_max_degree=DEGREE, window_size=WINDOW, alpha=0.95 if ask.metric == "cosine" else 1.2)
        data = rows.astype(numpy.uint8) if self.codes == "u8" else rows
        if self.codes == "lvq8":
            svs.write_vecs(rows, f"{ask.folder}/rows.fvecs")
            svs.convert_vecs_to_svs(f"{ask.folder}/rows.fvecs", f"{ask.folder}/rows.svs")
            data = svs.LVQLoader(svs.VectorDataLoader(f"{ask.folder}/rows.svs", svs.DataType.float32, dims=ask.dim), primary=8)
        watch = Stopwatch()
        index = svs.Vamana.build(parameters, data, self.distance(ask), num_threads=1)
        spent = watch.lap()
        for left in pathlib.Path(ask.folder).glob("rows.*"):
            left.unlink()
        index.save(f"{ask.folder}/config", f"{ask.folder}/graph", f"{ask.folder}/data")
        return {"index": spent}

    def open(self, ask):
        data = svs.VectorDataLoader(f"{ask.folder}/data", self.element, dims=ask.dim)
        if self.codes == "lvq8":
            data = svs.LVQLoader(f"{ask.folder}/data")
        self.index = svs.Vamana(
            f"{ask.folder}/config",
            svs.GraphLoader(f"{ask.folder}/graph"),
            data,
            self.distance(ask),
            query_type=self.element,
            num_threads=1,
        )

    def prepare(self, query):
        return query.reshape(1, -1).astype(numpy.uint8 if self.codes == "u8" else numpy.float32)

    def searcher(self, ask):
        parameters = self.index.search_parameters
        parameters.buffer_config = svs.SearchBufferConfig(ask.ef)
        self.index.search_parameters = parameters
        return lambda query: self.index.search(query, ask.k)

    def ids(self, answer):
        return answer[0][0]


serve(Svs(sys.argv[1]))
