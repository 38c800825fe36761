"""What quiver is to reach, judged by the numbers of a comparison: target, reached, ratio, OK or MISS. Knows nothing of how they were measured or are shown."""

import math
import statistics
from dataclasses import dataclass

from systems import M

BASELINE = "hnswlib"
# Times the queries per second of hnswlib, at a recall.
SPEED = {
    "quiver": {
        "fashion-mnist": {0.95: 1.05, 0.99: 1.10},
        "sift250k": {0.95: 1.65, 0.99: 1.75},
        "sift-noise-1m": {0.95: 1.40, 0.99: 1.40},
    },
    "quiver-sq8": {
        "fashion-mnist": {0.95: 1.90, 0.99: 2.00},
        "sift250k": {0.95: 2.60, 0.99: 2.95},
    },
}
# Times hnswlib: zvec 0.8.0's query_internal_ids where both were measured. For where zvec cannot be installed.
ZVEC_IDS = {"sift250k": {0.95: 1.31, 0.99: 1.42}}
# hnswlib's threads share nothing that is written: where two of them are not even so much faster than one, something else had the second processor.
IDLE_SCALING = 1.5
SMALL, LARGE = "sift100k", "sift-noise-1m"


class NotMeasured(Exception):
    """Why a line has no number."""


@dataclass(frozen=True)
class Line:
    """`sets`: whose numbers it is made of. `reached` is None where it was not measured, and `why` says why not."""

    what: str
    sets: tuple
    at_least: bool
    target: float
    reached: float | None
    why: str
    runs: tuple
    judged: bool

    @property
    def ratio(self):
        """1 and more: the target is reached, by that factor."""
        if self.reached is None:
            return None
        if self.at_least:
            return self.reached / self.target
        return self.target / self.reached if self.reached > 0 else math.inf

    @property
    def verdict(self):
        if self.reached is None:
            return "not measured"
        if not self.judged:
            return "not judged"
        return "OK" if self.ratio >= 1 else "MISS"

    def described(self):
        return {
            "what": self.what,
            "sets": list(self.sets),
            "target": self.target,
            "at_least": self.at_least,
            "reached": self.reached,
            "ratio": self.ratio,
            "verdict": self.verdict,
            "why": self.why,
        }


def qps_at(steps, recall):
    """Queries per second at a recall: between two steps, the logarithm of the rate runs straight over recall. Where the first step finds more already, its
    rate; None where no step finds as many."""
    for before, step in zip([None, *steps], steps):
        if step["recall"] < recall:
            continue
        if before is None:
            return step["qps"]
        share = (recall - before["recall"]) / (step["recall"] - before["recall"])
        return math.exp((1 - share) * math.log(before["qps"]) + share * math.log(step["qps"]))
    return None


def system_of(results, key):
    for system in results["systems"]:
        if system["key"] == key:
            return system
    for missing in results["not_measured"]:
        if missing.get("key") == key:
            raise NotMeasured(f"{missing['title']}: {missing['reason']}")
    raise NotMeasured(f"{key} did not take part")


def noted(where, name, what):
    if where.get(name) is None:
        raise NotMeasured(what)
    return where[name]


def rate(results, key, recall):
    """What a peer reaches; one that never finds so many is no measure."""
    system = system_of(results, key)
    found = qps_at(system["steps"], recall)
    if found is None:
        raise NotMeasured(f"{system['title']} does not reach recall {recall:g}")
    return found


def speed(results, key, peer, recall):
    """How many times the peer's queries per second: 0 where ours never finds so many."""
    theirs = rate(results, peer, recall)
    return (qps_at(system_of(results, key)["steps"], recall) or 0.0) / theirs


def built(results, key):
    return noted(system_of(results, key), "build", f"{key} has built nothing of its own")


def build_ratio(results, key):
    return built(results, key)["index_cpu"] / built(results, BASELINE)["index_cpu"]


def memory_ratio(results, key):
    return system_of(results, key)["resident_bytes"] / system_of(results, BASELINE)["resident_bytes"]


def code_bytes_expected(rows, dim):
    """2 m links of 4 bytes, a code a number and 8 bytes more a row; one row in m is on the level above, and has m links, its row and the node below."""
    return rows * (8 * M + dim + 8) + rows / (M - 1) * (4 * M + 8)


def code_bytes_ratio(results, key):
    files = noted(built(results, key), "files", "a run that did not note the sizes of files")
    if not files.get("vector_quant"):
        raise NotMeasured("no codes were written")
    about = results["set"]
    return (files["vector_graph"] + files["vector_quant"]) / code_bytes_expected(about["rows"], about["dim"])


def median_ratio(firsts, seconds):
    """Of each round the ratio, of all rounds the median."""
    return statistics.median(first / second for first, second in zip(firsts, seconds))


def scaling(results, key):
    """Of every round, how many times as fast two threads are as one."""
    if why := results.get("no_threads"):
        raise NotMeasured(why)
    rounds = noted(system_of(results, key), "threads", f"{key} was not asked with two threads")["rounds"]
    return [one / two for one, two in rounds]


def scaling_ratio(results, key):
    theirs = scaling(results, BASELINE)
    if statistics.median(theirs) < IDLE_SCALING:
        raise NotMeasured(f"the second processor was busy: two threads of hnswlib's were {statistics.median(theirs):.2f} times as fast as one")
    return median_ratio(scaling(results, key), theirs)


def live_ratio(results):
    """Of every round, how many times as many rows a second are in a graph."""
    if why := results.get("no_threads"):
        raise NotMeasured(why)
    ours, theirs = ([spent["wall"] for spent in noted(system_of(results, key), "live", f"{key} was given no rows one after the other")["rounds"]] for key in ("quiver", BASELINE))
    return median_ratio(theirs, ours)


def policy_ratio(results):
    for key in ("quiver", "quiver-memory"):
        system_of(results, key)
    rounds = noted(results, "policies", "the policies were not asked in turn")["rounds"]
    return statistics.median(mapped / memory for mapped, memory in rounds)


def fall(results, key):
    """How many times as many queries per second the small set allows as the large one."""
    small, large = results
    return rate(small, key, 0.95) / rate(large, key, 0.95)


def build_growth(results):
    small, large = results
    return built(large, "quiver")["index_cpu"] / built(small, "quiver")["index_cpu"]


class Table:
    """Lines of all results that there are, of each set one."""

    def __init__(self, all_results):
        self.by_name = {results["set"]["name"]: results for results in all_results}
        self.lines = []

    def add(self, what, sets, at_least, target, reach):
        """`reach` gives the number from the results of the sets, or raises NotMeasured."""
        there = [self.by_name[name] for name in sets if name in self.by_name]
        reached, why = None, ""
        try:
            if len(there) < len(sets):
                raise NotMeasured("no results of " + " and ".join(name for name in sets if name not in self.by_name))
            if len({results.get("run") for results in there}) > 1:
                raise NotMeasured("the sets are of different runs")
            reached = reach(*there)
        except NotMeasured as reason:
            why = str(reason)
        runs = tuple(results.get("run", "") for results in there)
        self.lines.append(Line(what, tuple(sets), at_least, target, reached, why, runs, not any(results["short"] for results in there)))

    def at_least(self, what, sets, target, reach):
        self.add(what, sets, True, target, reach)

    def at_most(self, what, sets, target, reach):
        self.add(what, sets, False, target, reach)

    def against_hnswlib(self):
        for key, title in (("quiver", "HNSW f32"), ("quiver-sq8", "HNSW SQ8, rerank")):
            for name, recalls in SPEED[key].items():
                for recall, target in recalls.items():
                    reach = lambda of, key=key, recall=recall: speed(of, key, BASELINE, recall)
                    self.at_least(f"{name}: {title}, QPS at {recall:g}, times hnswlib's", [name], target, reach)

    def against_zvec(self, name):
        for recall in (0.95, 0.99):
            what, reach = "zvec's, internal ids, f32", lambda of, recall=recall: speed(of, "quiver", "zvec-ids", recall)
            stands_in = ZVEC_IDS.get(name, {}).get(recall)
            left_out = {missing.get("key") for missing in self.by_name[name]["not_measured"]}
            if stands_in and left_out & {"zvec", "zvec-ids"}:
                what = f"zvec's, taken as {stands_in:g} of hnswlib's"
                reach = lambda of, recall=recall, stands_in=stands_in: speed(of, "quiver", BASELINE, recall) / stands_in
            self.at_least(f"{name}: HNSW f32, QPS at {recall:g}, times {what}", [name], 1.0, reach)

    def of_each(self, name):
        self.against_zvec(name)
        self.at_most(f"{name}: build, CPU time, times hnswlib's", [name], 0.8, lambda of: build_ratio(of, "quiver"))
        self.at_most(f"{name}: memory while searching, times hnswlib's", [name], 1.0, lambda of: memory_ratio(of, "quiver"))
        self.at_most(f"{name}: SQ8, bytes of graph and codes, times the sum", [name], 1.05, lambda of: code_bytes_ratio(of, "quiver-sq8"))
        for key, title in (("quiver", "f32"), ("quiver-sq8", "SQ8")):
            if self.by_name[name]["set"]["rows"] <= 1_000_000:
                self.at_most(f"{name}: {title}, open, mmap, ms", [name], 10, lambda of, key=key: 1000 * system_of(of, key)["open_seconds"])
            self.at_least(f"{name}: {title}, two threads against one, times hnswlib's", [name], 0.95, lambda of, key=key: scaling_ratio(of, key))
        self.at_least(f"{name}: rows inserted until all are linked, a second, times hnswlib's addPoint", [name], 1.0, live_ratio)
        self.at_least(f"{name}: mmap against memory policy, QPS at 0.95", [name], 0.98, policy_ratio)

    def growth(self):
        pair = [SMALL, LARGE]
        self.at_most("100,000 to 1,000,000 rows: fall of QPS at 0.95, times hnswlib's", pair, 1.0, lambda *of: fall(of, "quiver") / fall(of, BASELINE))
        self.at_most("100,000 to 1,000,000 rows: build, CPU time, times", pair, 12, lambda *of: build_growth(of))


def lines_of(all_results):
    """Results of a set each, as compare.py writes them."""
    table = Table(all_results)
    table.against_hnswlib()
    for results in all_results:
        table.of_each(results["set"]["name"])
    table.growth()
    return table.lines


def missed(lines, run):
    """What this run measured and is below its target."""
    return [line for line in lines if line.verdict == "MISS" and run in line.runs]


def counts(lines):
    """How often each verdict was given, in words."""
    order = ("OK", "MISS", "not judged", "not measured")
    given = [line.verdict for line in lines]
    return ", ".join(f"{given.count(verdict)} {verdict}" for verdict in order if verdict in given or verdict != "not judged")


def short_number(value):
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def cells(line):
    """Target, reached, ratio, verdict as text."""
    target = (">= " if line.at_least else "<= ") + short_number(line.target)
    if line.reached is None:
        return target, "-", "-", line.verdict
    return target, short_number(line.reached), f"{line.ratio:.2f}", line.verdict


def show(lines, run=None):
    """For a terminal. Lines that are not of this run say of which they are."""
    width = max([4, *(len(line.what) for line in lines)])
    print(f"\n{'what':<{width}}  {'target':>10}  {'reached':>10}  {'ratio':>6}")
    for line in lines:
        target, reached, ratio, verdict = cells(line)
        older = f" (run of {line.runs[0]})" if run and line.runs and run not in line.runs else ""
        print(f"{line.what:<{width}}  {target:>10}  {reached:>10}  {ratio:>6}  {verdict}{': ' + line.why if line.why else ''}{older}")
    print(f"\n{counts(lines)}. ratio: 1 or more means reached. Conditions: bench/README.md.", flush=True)
