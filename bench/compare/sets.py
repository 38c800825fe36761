"""The data sets of the comparison: each becomes two files of float32 that every system reads, and the exact answers that recall is counted from."""

import gzip
import hashlib
import json
import pathlib
from dataclasses import asdict, dataclass

import numpy

K = 10
NOISE_SEED, NOISE_SIGMA = 8, 8.0


@dataclass
class Set:
    """`whole`: every number is a whole one from 0 to 255. With metric "cosine" rows and queries have length 1. `digest` is of the bytes of both files."""

    name: str
    rows: int
    dim: int
    queries: int
    metric: str
    whole: bool
    note: str
    digest: str


def idx_gz(path):
    with gzip.open(path) as file:
        data = file.read()
    count = int.from_bytes(data[4:8], "big")
    return numpy.frombuffer(data, dtype=numpy.uint8, offset=16).reshape(count, -1)


def u8bin(path):
    rows, dim = (int(number) for number in numpy.fromfile(path, dtype="<u4", count=2))
    return numpy.fromfile(path, dtype=numpy.uint8, offset=8).reshape(rows, dim)


def bvecs(path):
    data = numpy.fromfile(path, dtype=numpy.uint8)
    dim = int.from_bytes(data[:4].tobytes(), "little")
    return data.reshape(-1, 4 + dim)[:, 4:]


def unit(rows):
    rows = rows.astype(numpy.float64)
    return (rows / numpy.linalg.norm(rows, axis=1, keepdims=True)).astype(numpy.float32)


def fashion_mnist(data):
    folder = data / "fashion-mnist"
    rows, queries = idx_gz(folder / "train-images-idx3-ubyte.gz"), idx_gz(folder / "t10k-images-idx3-ubyte.gz")
    return rows, queries, "l2", "Fashion-MNIST: the 60,000 training pictures; queries are test pictures"


def sift250k(data):
    folder = data / "sift250k"
    return u8bin(folder / "base.u8bin"), u8bin(folder / "query.u8bin"), "l2", "SIFT descriptors of the 500 images of BSDS500"


def sift100k(data):
    base, queries, metric, note = sift250k(data)
    return base[:100_000], queries, metric, f"the first 100,000 rows of sift250k ({note}); queries of sift250k"


def arxiv79k(data):
    folder = data / "arxiv79k"
    note = "latent semantic vectors of arXiv abstracts, float16, scaled to length 1; queries are titles"
    return unit(numpy.load(folder / "base.npy")), unit(numpy.load(folder / "query.npy")), "cosine", note


def sift_noise_1m(data):
    base, queries, metric, _ = sift250k(data)
    random = numpy.random.default_rng(NOISE_SEED)
    pieces, missing = [base], 1_000_000 - len(base)
    while missing > 0:
        piece = base[:missing]
        noisy = piece + random.normal(0.0, NOISE_SIGMA, piece.shape)
        pieces.append(numpy.clip(numpy.rint(noisy), 0, 255).astype(numpy.uint8))
        missing -= len(piece)
    note = (
        f"sift250k, then the same descriptors again and again with fresh Gaussian noise (sigma {NOISE_SIGMA:g}, numpy default_rng({NOISE_SEED})), "
        "rounded to whole numbers from 0 to 255; queries of sift250k"
    )
    return numpy.concatenate(pieces), queries, metric, note


def fashion10k(data):
    del data
    folder = pathlib.Path(__file__).resolve().parents[2] / "examples" / "data" / "fashion10k"
    rows = bvecs(folder / "base.bvecs")[:2000]
    return rows, bvecs(folder / "query.bvecs"), "l2", "the first 2,000 pictures of examples/data/fashion10k: shows that everything runs, nothing else"


SETS = {
    "fashion-mnist": fashion_mnist,
    "sift100k": sift100k,
    "sift250k": sift250k,
    "arxiv79k": arxiv79k,
    "sift-noise-1m": sift_noise_1m,
    "fashion2k": fashion10k,
}


class Exact:
    """The exact answers: of every query the K-th distance, in double precision. A row counts as right if it is no farther, so ties count."""

    def __init__(self, folder, about):
        self.metric = about.metric
        self.rows = numpy.memmap(folder / "base.f32", dtype="<f4", mode="r", shape=(about.rows, about.dim))
        self.queries = numpy.fromfile(folder / "query.f32", dtype="<f4").reshape(about.queries, about.dim)
        cached = folder / "kth.f64"
        if cached.exists():
            self.kth = numpy.fromfile(cached, dtype="<f8")
        else:
            self.kth = self.search()
            self.kth.tofile(cached)

    def distances(self, query, ids):
        """Exact distances of one query to some rows: squared L2, or 1 - cosine."""
        rows = self.rows[ids].astype(numpy.float64)
        query = query.astype(numpy.float64)
        if self.metric == "cosine":
            return 1 - rows @ query / (numpy.linalg.norm(rows, axis=1) * numpy.linalg.norm(query))
        return ((rows - query) ** 2).sum(axis=1)

    def search(self, block=20_000, keep=50):
        """In blocks of rows; the `keep` nearest by single precision, which cannot miss one of the K nearest, are then measured exactly."""
        count = len(self.queries)
        ids, best = numpy.zeros((count, 0), dtype=numpy.int64), numpy.zeros((count, 0), dtype=numpy.float32)
        for first in range(0, len(self.rows), block):
            rows = numpy.asarray(self.rows[first : first + block])
            near = -(self.queries @ rows.T)
            if self.metric != "cosine":
                near = 2 * near + (rows.astype(numpy.float64) ** 2).sum(axis=1).astype(numpy.float32)
            ids = numpy.hstack([ids, numpy.broadcast_to(numpy.arange(first, first + len(rows)), near.shape)])
            best = numpy.hstack([best, near])
            if best.shape[1] > keep:
                kept = numpy.argpartition(best, keep, axis=1)[:, :keep]
                ids, best = numpy.take_along_axis(ids, kept, 1), numpy.take_along_axis(best, kept, 1)
        return numpy.array([numpy.partition(self.distances(query, near), K - 1)[K - 1] for query, near in zip(self.queries, ids)])

    def recall(self, answers):
        """The share of the K x queries rows that should have come back and did."""
        right = 0
        for query, kth, answer in zip(self.queries, self.kth, answers):
            ids = [row for row in dict.fromkeys(answer[:K]) if 0 <= row < len(self.rows)]
            if ids:
                right += int((self.distances(query, ids) <= kth * (1 + 1e-9) + 1e-12).sum())
        return right / (K * len(self.queries))


def digest(folder):
    sums = [hashlib.sha256(numpy.memmap(folder / name, dtype=numpy.uint8, mode="r")) for name in ("base.f32", "query.f32")]
    return hashlib.sha256(b"".join(each.digest() for each in sums)).hexdigest()[:16]


def prepare(name, data, work, queries):
    """Writes base.f32 and query.f32 below work/sets, unless they are there. Returns the set, its folder and the exact answers."""
    source = hashlib.sha256(str(data.resolve()).encode()).hexdigest()[:8]
    folder = work / "sets" / f"{name}-{queries}-{source}"
    if not (folder / "set.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        rows, asked, metric, note = SETS[name](data)
        asked = asked[:queries]
        (folder / "kth.f64").unlink(missing_ok=True)
        numpy.ascontiguousarray(rows, dtype="<f4").tofile(folder / "base.f32")
        numpy.ascontiguousarray(asked, dtype="<f4").tofile(folder / "query.f32")
        about = Set(name, len(rows), rows.shape[1], len(asked), metric, rows.dtype == numpy.uint8, note, digest(folder))
        (folder / "set.json").write_text(json.dumps(asdict(about)), encoding="utf-8")
    about = Set(**json.loads((folder / "set.json").read_text(encoding="utf-8")))
    return about, folder, Exact(folder, about)
