"""What every Python runner shares: the protocol of protocol.hpp, clocks, memory. A peer is a class with the four methods of Peer, and `serve(Peer())`."""

import gc
import json
import os
import resource
import sys
import time

import numpy


class Stopwatch:
    """Processor time of all threads of this process, and the time on the wall, since it was made or asked last."""

    def __init__(self):
        self.last = self.read()

    @staticmethod
    def read():
        return time.process_time(), time.perf_counter()

    def lap(self):
        now = self.read()
        spent = {"cpu": now[0] - self.last[0], "wall": now[1] - self.last[1]}
        self.last = now
        return spent


class Peer:
    """A system. `ask` is what the driver said, as an object: ask.dim, ask.metric ("l2", or "cosine" of rows of length 1), ask.folder, ask.ef and so on."""

    def version(self):
        raise NotImplementedError

    def build(self, ask, rows):
        """Makes an index of the rows in ask.folder. Returns {"index": lap, "rows": lap}; "rows" only where the system keeps them beside the index."""
        raise NotImplementedError

    def open(self, ask):
        """Opens what build() left in ask.folder."""
        raise NotImplementedError

    def searcher(self, ask):
        """A function from what prepare() made of a query to an answer; this is what is timed."""
        raise NotImplementedError

    def prepare(self, query):
        """The form in which a program would hold the query anyway."""
        return query

    def ids(self, answer):
        """The row numbers of an answer, nearest first; not timed."""
        return answer


def resident_bytes():
    """Bytes of this process that are in memory now, its own and those of mapped files."""
    with open("/proc/self/status", encoding="ascii") as status:
        return 1024 * sum(int(line.split()[1]) for line in status if line.startswith(("RssAnon:", "RssFile:", "RssShmem:")))


def read_floats(path, rows, dim):
    values = numpy.fromfile(path, dtype="<f4", count=rows * dim)
    if values.size != rows * dim:
        raise ValueError(f"{path} is too short")
    return values.reshape(rows, dim)


def search_all(peer, ask, queries):
    search = peer.searcher(ask)
    passes, spent = 0, {"cpu": 0.0, "wall": 0.0}
    while True:
        watch = Stopwatch()
        found = [search(query) for query in queries]
        lap = watch.lap()
        passes += 1
        spent = {clock: spent[clock] + lap[clock] for clock in spent}
        if spent["cpu"] >= ask.at_least:
            break
    ids = [[int(row) for row in peer.ids(answer)] for answer in found]
    return {"cpu": spent["cpu"] / passes, "wall": spent["wall"] / passes, "resident": resident_bytes(), "ids": ids}


class Ask:
    def __init__(self, line):
        self.m, self.ef_construction, self.k, self.ef, self.refine, self.at_least = 16, 200, 10, 10, 0, 0
        self.__dict__.update(json.loads(line))


def act(peer, ask, state):
    if ask.action == "hello":
        return {"version": peer.version(), "language": "Python"}
    if ask.action == "build":
        laps = peer.build(ask, read_floats(ask.base, ask.rows, ask.dim))
        answer = {f"{part}_{clock}": seconds for part, lap in laps.items() for clock, seconds in lap.items()}
        return {"rows_cpu": 0.0, "rows_wall": 0.0, **answer, "peak": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}
    if ask.action == "open":
        state["queries"] = [peer.prepare(query) for query in read_floats(ask.query, ask.queries, ask.dim)]
        before = resident_bytes()
        watch = Stopwatch()
        peer.open(ask)
        return {**watch.lap(), "resident_before": before, "resident": resident_bytes()}
    if ask.action == "search":
        return search_all(peer, ask, state["queries"])
    raise ValueError(f"unknown action {ask.action!r}")


def serve(peer):
    """Answers until the driver closes the pipe. An error is an answer too, and the next line is read."""
    # What libraries print must not come between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    gc.disable()
    state = {}
    for line in sys.stdin:
        try:
            answer = act(peer, Ask(line), state)
        except Exception as error:  # pylint: disable=broad-except
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
