"""Documents per second into a new zvec collection: what `ingest_bench` measures, done by zvec as it comes, with its own durability.

300 batches of 1,000 documents of 128 float32 and two integers. The documents are made beforehand; the clock runs only during insert() and flush().

    python zvec_ingest.py [--batches 300] [--runs 3] [--folder .]

The last line is "documents/s <median of the runs>". Without zvec (pip install zvec numpy): "not measured", status 77.
"""
import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time

try:
    import numpy
    import zvec
except ImportError as missing:
    print(f"not measured: {missing}")
    sys.exit(77)

BATCH, DIMENSION = 1000, 128


def documents(random, first):
    """As zvec keeps them: the vector is a list of Python's, turned into numbers of C by insert()."""
    vectors = random.integers(0, 256, (BATCH, DIMENSION)).astype(numpy.float32)
    return [
        zvec.Doc(id=str(first + i), fields={"group": (first + i) % 100, "number": first + i}, vectors={"vector": vectors[i]})
        for i in range(BATCH)
    ]


def one_run(folder, batches):
    schema = zvec.CollectionSchema(
        name="ingest",
        fields=[zvec.FieldSchema("group", zvec.DataType.INT32), zvec.FieldSchema("number", zvec.DataType.INT64)],
        vectors=zvec.VectorSchema("vector", zvec.DataType.VECTOR_FP32, DIMENSION, index_param=zvec.FlatIndexParam(metric_type=zvec.MetricType.L2)),
    )
    collection = zvec.create_and_open(path=os.path.join(folder, "new"), schema=schema)
    random = numpy.random.default_rng(11)
    wall = cpu = 0.0
    for batch in range(batches):
        docs = documents(random, batch * BATCH)
        start_wall, start_cpu = time.perf_counter(), time.process_time()
        statuses = collection.insert(docs)
        wall += time.perf_counter() - start_wall
        cpu += time.process_time() - start_cpu
        if not all(status.ok() for status in statuses):
            sys.exit(f"zvec refused a document: {next(s for s in statuses if not s.ok())}")
    start_wall, start_cpu = time.perf_counter(), time.process_time()
    collection.flush()
    wall += time.perf_counter() - start_wall
    cpu += time.process_time() - start_cpu
    if collection.stats.doc_count != batches * BATCH:
        sys.exit(f"zvec holds {collection.stats.doc_count} documents")
    collection.close()
    return batches * BATCH / wall, batches * BATCH / cpu


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--batches", type=int, default=300)
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--folder", default=os.environ.get("QUIVER_BENCH_FOLDER", "."))
    given = options.parse_args()
    rates = []
    for _ in range(given.runs):
        folder = tempfile.mkdtemp(prefix="zvec-ingest-", dir=given.folder)
        try:
            by_wall, by_cpu = one_run(folder, given.batches)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        print(f"zvec {zvec.__version__}: {by_wall:.0f} documents/s, {by_cpu:.0f} per second of processor time", flush=True)
        rates.append(by_wall)
    print(f"documents/s {statistics.median(rates):.1f}")


main()
