"""zvec's HNSW: `query` (documents) or `ids` (query_internal_ids of a collection that is opened for reading), of `f32` or `u8` (UNIFORM_UINT8)."""

import sys

import zvec

from base import Peer, Stopwatch, serve

FIELD = "v"


class Zvec(Peer):
    def __init__(self, path, codes):
        self.path, self.codes = path, codes
        zvec.init(query_threads=1, optimize_threads=1, log_level=zvec.LogLevel.ERROR)

    def version(self):
        return zvec.__version__

    def build(self, ask, rows):
        codes = {}
        if self.codes == "u8":
            codes = {"quantize_type": zvec.QuantizeType.UNIFORM_UINT8, "flat_data_type": zvec.DataType.VECTOR_UINT8}
        index = zvec.HnswIndexParam(
            metric_type=zvec.MetricType.IP if ask.metric == "cosine" else zvec.MetricType.L2,
            m=ask.m,
            ef_construction=ask.ef_construction,
            use_contiguous_memory=True,
            **codes,
        )
        vectors = zvec.VectorSchema(FIELD, zvec.DataType.VECTOR_FP32, ask.dim, index_param=index)
        watch = Stopwatch()
        collection = zvec.create_and_open(path=f"{ask.folder}/store", schema=zvec.CollectionSchema(name="compare", fields=[], vectors=vectors))
        for first in range(0, len(rows), 1000):
            documents = [zvec.Doc(id=str(first + i), vectors={FIELD: row}) for i, row in enumerate(rows[first : first + 1000])]
            if not all(status.ok() for status in collection.insert(documents)):
                raise RuntimeError("a document was refused")
        collection.flush()
        spent = {"rows": watch.lap()}
        collection.optimize(zvec.OptimizeOption(concurrency=1))
        collection.flush()
        spent["index"] = watch.lap()
        collection.close()
        return spent

    def open(self, ask):
        self.collection = zvec.open(f"{ask.folder}/store", zvec.CollectionOption(read_only=True, enable_mmap=True))

    def searcher(self, ask):
        effort = zvec.HnswQueryParam(ef=ask.ef)
        if self.path == "ids":
            return lambda query: self.collection.query_internal_ids(zvec.Query(FIELD, vector=query, param=effort), topk=ask.k)
        return lambda query: self.collection.query(zvec.Query(FIELD, vector=query, param=effort), topk=ask.k, output_fields=[])

    def ids(self, answer):
        if self.path == "ids":
            found = [int(row) for row in answer if row >= 0]
            return self.collection.resolve_internal_ids(found) if found else []
        return [document.id for document in answer]


serve(Zvec(sys.argv[1], sys.argv[2]))
