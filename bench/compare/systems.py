"""Who takes part, and a process for each."""

import hashlib
import json
import os
import pathlib
import subprocess
import sys
import threading
from dataclasses import dataclass

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BIN = ROOT / "build" / "bench" / "bin"
M, EF_CONSTRUCTION = 16, 200
GRAPH = f"m {M}, ef_construction {EF_CONSTRUCTION}"
VAMANA = "R 32, L 200"
# One thread on every side.
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")}


class Failed(Exception):
    """A system that cannot do what it was asked; the text goes into the report."""


@dataclass(frozen=True)
class System:
    """`whole_only`: its codes are for whole numbers from 0 to 255. `index_of`: it opens the index that this other one built. `module`: what install.sh notes
    where the package cannot be had."""

    key: str
    title: str
    family: str
    words: tuple
    settings: str
    whole_only: bool = False
    index_of: str = ""
    module: str = ""
    refine: int = 0
    by_default: bool = True

    @property
    def command(self):
        if self.words[0].endswith("_runner"):
            return [str(BIN / self.words[0]), *self.words[1:]]
        return [sys.executable, str(HERE / "peers" / (self.words[0] + ".py")), *self.words[1:]]


SYSTEMS = [
    System("quiver", "quiver f32", "quiver", ("quiver_runner", "mmap", "f32"), f"MMapPolicy, {GRAPH}"),
    System("quiver-memory", "quiver f32, in memory", "quiver", ("quiver_runner", "memory", "f32"), "MemoryPolicy, the same index", index_of="quiver", by_default=False),
    System("quiver-sq8", "quiver SQ8", "quiver", ("quiver_runner", "mmap", "sq8"), f"MMapPolicy, {GRAPH}, Sq8, refine 20", refine=20),
    System("quiver-sq4", "quiver SQ4", "quiver", ("quiver_runner", "mmap", "sq4"), f"MMapPolicy, {GRAPH}, Sq4"),
    System("quiver-codes16", "quiver float16 codes", "quiver", ("quiver_runner", "mmap", "codes16"), f"MMapPolicy, {GRAPH}, Float16", by_default=False),
    System("quiver-f16", "quiver float16", "quiver", ("quiver_runner", "mmap", "f16"), f"MMapPolicy, {GRAPH}, stored as float16", by_default=False),
    System("quiver-u8", "quiver uint8", "quiver", ("quiver_runner", "mmap", "u8"), f"MMapPolicy, {GRAPH}, stored as uint8", whole_only=True),
    System("hnswlib", "hnswlib", "hnswlib", ("hnswlib_runner",), f"headers, compiled as quiver is, {GRAPH}"),
    System("hnswlib-python", "hnswlib, from Python", "hnswlib", ("hnswlib_peer",), "the same index", index_of="hnswlib", module="hnswlib"),
    System("faiss", "faiss HNSW f32", "faiss", ("faiss_peer", "f32"), f"IndexHNSWFlat, {GRAPH}", module="faiss"),
    System(
        "faiss-sq8",
        "faiss HNSW SQ8",
        "faiss",
        ("faiss_peer", "sq8"),
        f"IndexHNSWSQ (8bit_direct on whole numbers, else 8bit and IndexRefineFlat), {GRAPH}",
        module="faiss",
    ),
    System("usearch", "usearch f32", "usearch", ("usearch_peer", "f32"), GRAPH, module="usearch"),
    System("usearch-bf16", "usearch bf16", "usearch", ("usearch_peer", "bf16"), f"{GRAPH}; what it chooses by itself", module="usearch"),
    System("zvec", "zvec f32, query()", "zvec", ("zvec_peer", "query", "f32"), f"{GRAPH}, contiguous memory", module="zvec"),
    System(
        "zvec-ids",
        "zvec f32, internal ids",
        "zvec",
        ("zvec_peer", "ids", "f32"),
        "query_internal_ids() of the same index, opened read-only",
        index_of="zvec",
        module="zvec",
    ),
    System(
        "zvec-u8",
        "zvec UINT8, query()",
        "zvec",
        ("zvec_peer", "query", "u8"),
        f"UNIFORM_UINT8, {GRAPH}, contiguous memory, rows kept as uint8",
        whole_only=True,
        module="zvec",
    ),
    System(
        "zvec-u8-ids",
        "zvec UINT8, internal ids",
        "zvec",
        ("zvec_peer", "ids", "u8"),
        "query_internal_ids() of the same index, opened read-only",
        whole_only=True,
        index_of="zvec-u8",
        module="zvec",
    ),
    System("svs", "SVS Vamana f32", "svs", ("svs_peer", "f32"), VAMANA, module="svs"),
    System("svs-u8", "SVS Vamana uint8", "svs", ("svs_peer", "u8"), f"{VAMANA}, rows as uint8", whole_only=True, module="svs"),
    System("svs-lvq8", "SVS Vamana LVQ8", "svs", ("svs_peer", "lvq8"), VAMANA, module="svs"),
]


def tidy(text):
    """One line, and no folder of this machine."""
    for folder in (str(ROOT), str(pathlib.Path.home()), sys.prefix):
        text = text.replace(folder + "/", "")
    return " ".join(text.split())[:300]


class Runner:
    """A system's process. It lives until close(); what it says on standard error is kept for the case that it dies."""

    def __init__(self, system, work, seconds=7200):
        self.system, self.seconds = system, seconds
        reason = work / "missing" / system.module
        if system.module and reason.is_file():
            raise Failed(tidy(reason.read_text(encoding="utf-8")))
        if not pathlib.Path(system.command[0]).exists():
            raise Failed(f"{system.words[0]} is not built")
        (work / "logs").mkdir(parents=True, exist_ok=True)
        self.log_path = work / "logs" / f"{system.key}.txt"
        with open(self.log_path, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                system.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=work / "logs", env={**os.environ, **ONE_THREAD}
            )
        try:
            hello = self.ask(action="hello")
        except Failed:
            self.close()
            raise
        self.version, self.language = hello["version"], hello["language"]

    def ask(self, **request):
        overdue = threading.Timer(self.seconds, self.process.kill)
        overdue.start()
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = self.process.stdout.readline()
        finally:
            overdue.cancel()
        if not line:
            raise Failed(f"ended with status {self.process.wait()}: {self.last_words()}")
        answer = json.loads(line)
        if "error" in answer:
            raise Failed(tidy(answer["error"]))
        return answer

    def last_words(self):
        lines = [line for line in self.log_path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        return tidy(lines[-1]) if lines else "it said nothing"

    def identity(self):
        """Changes with what the program or the package is; a built index is used again only under the same one."""
        program = self.system.command[0] if self.language == "C++" else self.system.command[1]
        digest = hashlib.sha256(pathlib.Path(program).read_bytes()).hexdigest()[:16]
        return f"{self.version} {digest}"

    def close(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
