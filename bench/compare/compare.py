#!/usr/bin/env python3
"""quiver beside hnswlib, faiss, usearch, zvec and SVS: builds an index with each, asks each the same queries one at a time on one thread, taking turns, and
writes recall against queries per second, build time, memory and a table of targets into bench/results/. `make compare` makes what it needs first; see
bench/README.md.

    compare.py --sets sift250k --systems quiver,hnswlib --rounds 3
"""

import argparse
import datetime
import json
import os
import pathlib
import shutil
import statistics
import sys
import time
from dataclasses import replace

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]

try:
    import machine
    import report
    import sets
    import targets
    from systems import EF_CONSTRUCTION, SYSTEMS, Failed, M, Runner
except ImportError as missing:
    sys.exit(f"compare.py: {missing}. `make compare` makes a Python below build/compare/venv that has what this needs.")

LADDER = [10, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024]
ENOUGH = 0.999
FIXED_ROWS = 20
# Where two threads are asked and the policies compared: at the first step of the ladder that finds so many.
COMPARED_AT = 0.95
REQUIRED_RECALL = 0.9
OPENINGS, QUICK_SECONDS = 5, 0.5
# Of which so many rows at most are inserted one after the other, by each so often at most.
LIVE, LIVE_ROWS, LIVE_ROUNDS = ("quiver", "hnswlib"), 50_000, 3


def say(text):
    print(f"{datetime.datetime.now():%H:%M:%S} {text}", flush=True)


def bytes_below(folder, pattern="*"):
    return sum(path.stat().st_size for path in folder.rglob(pattern) if path.is_file())


class Contest:
    """One data set: every system's index, then the rounds."""

    def __init__(self, options, name):
        self.options = options
        self.about, self.folder, self.exact = sets.prepare(name, options.data, options.work, options.queries)
        self.indexes = options.work / "indexes" / f"{name}-{os.getpid()}" if not options.reuse else options.work / "indexes" / name
        self.base = {
            "base": str(self.folder / "base.f32"),
            "query": str(self.folder / "query.f32"),
            "metric": self.about.metric,
            "rows": self.about.rows,
            "queries": self.about.queries,
            "dim": self.about.dim,
            "m": M,
            "ef_construction": EF_CONSTRUCTION,
        }
        self.entries, self.left_out = {}, []
        self.policies = None

    def leave_out(self, system, reason):
        say(f"{self.about.name}: {system.title}: not measured: {reason}")
        entry = self.entries.pop(system.key, {})
        if "runner" in entry:
            entry["runner"].close()
        self.left_out.append({"key": system.key, "title": system.title, "reason": reason})

    def index_folder(self, system, rows):
        return self.indexes / (system.index_of or system.key) / str(rows)

    def request(self, system, rows):
        return {**self.base, "rows": rows, "folder": str(self.index_folder(system, rows))}

    def build(self, system, rows):
        """An index of the first `rows` rows, in a process of its own. With --reuse one that is there and was built by the same program."""
        folder = self.index_folder(system, rows)
        if system.index_of:
            if not (folder / "built.json").exists():
                raise Failed(f"opens the index of {system.index_of}, which was not built")
            return None
        runner = Runner(system, self.options.work)
        try:
            identity = runner.identity()
            noted = folder / "built.json"
            if noted.exists():
                built = json.loads(noted.read_text(encoding="utf-8"))
                if built["identity"] == identity and built.get("digest") == self.about.digest:
                    return {**built, "reused": True}
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            answer = runner.ask(action="build", **self.request(system, rows))
        finally:
            runner.close()
        built = {**answer, "bytes": bytes_below(folder), "identity": identity, "digest": self.about.digest, "day": f"{datetime.date.today()}", "reused": False}
        if system.family == "quiver":
            built["files"] = {kind: bytes_below(folder, f"*.{kind}") for kind in ("vector_index", "vector_graph", "vector_quant")}
        noted.write_text(json.dumps(built), encoding="utf-8")
        return built

    def fixed_cost(self, system):
        """Microseconds of a query to 20 rows: what a call costs besides its distances."""
        self.build(system, FIXED_ROWS)
        runner = Runner(system, self.options.work)
        try:
            runner.ask(action="open", **self.request(system, FIXED_ROWS))
            costs = [self.search(runner, 10)["cpu"] for _ in range(4)]
        finally:
            runner.close()
        return 1e6 * statistics.median(costs[1:]) / self.about.queries

    def search(self, runner, ef, **more):
        request = {"queries": self.about.queries, "dim": self.about.dim, "k": sets.K, "ef": ef, "refine": runner.system.refine}
        return runner.ask(action="search", **{**request, "at_least": self.options.at_least, **more})

    def enter(self, system):
        if system.whole_only and not self.about.whole:
            return
        try:
            say(f"{self.about.name}: {system.title}: build")
            built = self.build(system, self.about.rows)
            if built:
                say(f"    {built['index_cpu']:.1f} s of processor time, rows {built['rows_cpu']:.1f} s{', of an earlier run' if built['reused'] else ''}")
        except Failed as failed:
            return self.leave_out(system, str(failed))
        try:
            fixed = self.fixed_cost(system)
        except Failed as failed:
            say(f"    no index of {FIXED_ROWS} rows: {failed}")
            fixed = None
        self.entries[system.key] = {"system": system, "built": built, "fixed": fixed, "steps": {}, "recall": {}}

    def opened(self, system):
        """A process that has opened the system's index, and what it said of that."""
        runner = Runner(system, self.options.work)
        try:
            return runner, runner.ask(action="open", **self.request(system, self.about.rows))
        except Failed:
            runner.close()
            raise

    def open(self, entry):
        """A new process, so that what a build left in memory is not counted. Where opening is quick it is done in several, for the median."""
        system = entry["system"]
        try:
            entry["runner"], entry["opened"] = self.opened(system)
            walls = [entry["opened"]["wall"]]
            while len(walls) < OPENINGS and walls[0] < QUICK_SECONDS:
                runner, opened = self.opened(system)
                runner.close()
                walls.append(opened["wall"])
            entry["open_seconds"] = statistics.median(walls)
            self.search(entry["runner"], 64)
        except Failed as failed:
            self.leave_out(system, str(failed))

    def step(self, entry, ef):
        answer = self.search(entry["runner"], ef)
        if ef not in entry["recall"]:
            entry["recall"][ef] = self.exact.recall(answer["ids"])
        count = self.about.queries
        entry["steps"].setdefault(ef, []).append((count / answer["cpu"], count / answer["wall"]))
        entry["resident"] = max(entry.get("resident", 0), answer["resident"] - entry["opened"]["resident_before"])

    def rounds(self):
        done = set()
        for number in range(self.options.rounds):
            say(f"{self.about.name}: round {number + 1} of {self.options.rounds}")
            for position, ef in enumerate(LADDER):
                keys = [key for key, entry in self.entries.items() if (ef in entry["recall"] if number else key not in done)]
                turn = (number + position) % max(1, len(keys))
                for key in keys[turn:] + keys[:turn]:
                    try:
                        self.step(self.entries[key], ef)
                    except Failed as failed:
                        self.leave_out(self.entries[key]["system"], str(failed))
                        continue
                    if self.entries[key]["recall"][ef] >= ENOUGH:
                        done.add(key)

    def ef_compared(self, entry):
        return next((ef for ef, recall in sorted(entry["recall"].items()) if recall >= COMPARED_AT), None)

    def two_threads(self):
        """Those that are called from C++ answer with one thread and with two in turn: seconds on the wall."""
        asked = {key: ef for key, entry in self.entries.items() if entry["runner"].language == "C++" and (ef := self.ef_compared(entry))}
        if self.no_threads() or not asked:
            return
        say(f"{self.about.name}: two threads against one")
        for number in range(self.options.rounds):
            for key, ef in asked.items():
                if key not in self.entries:
                    continue
                entry, walls = self.entries[key], {}
                try:
                    for threads in (1, 2) if number % 2 == 0 else (2, 1):
                        walls[threads] = self.search(entry["runner"], ef, threads=threads, at_least=5 * threads * self.options.at_least)["wall"]
                except Failed as failed:
                    self.leave_out(entry["system"], str(failed))
                    continue
                entry.setdefault("threads", {"ef": ef, "rounds": []})["rounds"].append([walls[1], walls[2]])

    @staticmethod
    def no_threads():
        return "" if len(os.sched_getaffinity(0)) > 1 else "this process may use one core only"

    def live(self):
        """The first rows, inserted until all are in a graph, by each in turn in a process of its own."""
        if not set(LIVE) <= self.entries.keys():
            return
        rows = min(LIVE_ROWS, self.about.rows)
        say(f"{self.about.name}: {rows:,} rows inserted, in a graph at once")
        for number in range(min(self.options.rounds, LIVE_ROUNDS)):
            for key in LIVE if number % 2 == 0 else LIVE[::-1]:
                if key not in self.entries:
                    continue
                entry = self.entries[key]
                runner = Runner(entry["system"], self.options.work)
                try:
                    spent = runner.ask(action="live", **self.request(entry["system"], rows))
                except Failed as failed:
                    self.leave_out(entry["system"], str(failed))
                    continue
                finally:
                    runner.close()
                entry.setdefault("live", {"rows": rows, "rounds": []})["rounds"].append(spent)

    def compare_policies(self):
        """The same index under either policy, in processes of their own without huge pages: processor time, in the order ABBAAB..."""
        if not {"quiver", "quiver-memory"} <= self.entries.keys():
            return
        ef = self.ef_compared(self.entries["quiver"])
        if ef is None:
            return
        say(f"{self.about.name}: mmap against memory policy")
        pair = [self.entries[key]["system"] for key in ("quiver", "quiver-memory")]
        runners, rounds = [], []
        try:
            for system in pair:
                runners.append(self.opened(replace(system, words=(*system.words, "small-pages")))[0])
                self.search(runners[-1], ef)
            for number in range(4 * self.options.rounds):
                rates = [0.0, 0.0]
                for which in (0, 1) if number % 2 == 0 else (1, 0):
                    rates[which] = self.about.queries / self.search(runners[which], ef)["cpu"]
                rounds.append(rates)
            self.policies = {"ef": ef, "rounds": rounds}
        except Failed as failed:
            say(f"    {failed}")
        finally:
            for runner in runners:
                runner.close()

    def run(self):
        """The raw numbers, as report.py reads them."""
        load, began = machine.load(), time.monotonic()
        try:
            for system in self.options.systems:
                self.enter(system)
            for entry in list(self.entries.values()):
                self.open(entry)
            self.rounds()
            self.two_threads()
            self.compare_policies()
            self.live()
        finally:
            for entry in self.entries.values():
                if "runner" in entry:
                    entry["runner"].close()
            if not self.options.reuse:
                shutil.rmtree(self.indexes, ignore_errors=True)
        return {
            "set": vars(self.about),
            "k": sets.K,
            "rounds": self.options.rounds,
            "at_least_seconds": self.options.at_least,
            "fixed_rows": FIXED_ROWS,
            "run": self.options.run,
            "date": f"{datetime.date.today()}",
            "minutes": round((time.monotonic() - began) / 60, 1),
            "load": [load, machine.load()],
            "short": self.options.short,
            "machine": machine.describe(ROOT / "build" / "bench"),
            "systems": [self.described(entry) for entry in self.entries.values()],
            "not_measured": self.left_out,
            "no_threads": self.no_threads(),
            "policies": self.policies,
        }

    def described(self, entry):
        system, built = entry["system"], entry["built"]
        return {
            "key": system.key,
            "title": system.title,
            "family": system.family,
            "settings": system.settings,
            "version": entry["runner"].version,
            "language": entry["runner"].language,
            "index_of": system.index_of,
            "build": {key: value for key, value in built.items() if key not in ("identity", "digest")} if built else None,
            "open_seconds": entry["open_seconds"],
            "resident_bytes": entry["resident"],
            "fixed_us": entry["fixed"],
            "threads": entry.get("threads"),
            "live": entry.get("live"),
            "steps": [
                {
                    "ef": ef,
                    "recall": entry["recall"][ef],
                    "qps": statistics.median(cpu for cpu, _ in rates),
                    "qps_wall": statistics.median(wall for _, wall in rates),
                    "rounds": [round(cpu, 1) for cpu, _ in rates],
                }
                for ef, rates in sorted(entry["steps"].items())
            ],
        }


def parse(words):
    by_key = {system.key: system for system in SYSTEMS}
    defaults = [system.key for system in SYSTEMS if system.by_default]
    real = [name for name in sets.SETS if name != "fashion2k"]
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument(
        "--data",
        type=pathlib.Path,
        default=pathlib.Path(os.environ.get("QUIVER_DATA", ROOT.parent / "shared" / "data")),
        metavar="FOLDER",
        help="where the data sets are (default: $QUIVER_DATA, else ../shared/data)",
    )
    options.add_argument("--sets", default=",".join(real), metavar="NAMES", help=f"of {', '.join(sets.SETS)} (default: all but fashion2k)")
    options.add_argument("--systems", default=",".join(defaults), metavar="NAMES", help=f"of {', '.join(by_key)} (default: all but {', '.join(key for key in by_key if key not in defaults)})")
    options.add_argument("--rounds", type=int, default=5, help="medians are taken over so many (default: 5)")
    options.add_argument("--queries", type=int, default=1000, help="at most, of each set (default: 1000)")
    options.add_argument("--out", type=pathlib.Path, metavar="FOLDER", help="where the report is written (default: bench/results)")
    options.add_argument(
        "--work", type=pathlib.Path, default=ROOT / "build" / "compare", metavar="FOLDER", help="for data, indexes and logs (default: build/compare)"
    )
    options.add_argument(
        "--reuse", action="store_true", help="keep the indexes, and use those again that the same program has built of the same rows; the report says so"
    )
    options.add_argument(
        "--at-least",
        type=float,
        default=0.2,
        metavar="SECONDS",
        help="processor time of a step: all queries are asked again until it is used up (default: 0.2)",
    )
    options.add_argument("--short", action="store_true", help="fashion2k, two rounds, seconds: shows that everything runs; written below build/compare/short")
    options.add_argument("--judge", action="store_true", help="end with status 1 where this run misses a target")
    options.add_argument("--require", default="", metavar="NAMES", help="systems: end with status 1 where one was not measured or never found 90 of 100")
    given = options.parse_args(words)
    given.run = f"{datetime.datetime.now():%Y-%m-%d %H:%M:%S}"
    if given.short:
        given.sets, given.rounds, given.at_least = "fashion2k", min(given.rounds, 2), 0.0
    given.out = given.out or (given.work / "short" if given.short else ROOT / "bench" / "results")
    given.sets = given.sets.split(",")
    for name in given.sets:
        if name not in sets.SETS:
            options.error(f"no set is called '{name}'")
    given.require = [key for key in given.require.split(",") if key]
    for key in given.systems.split(",") + given.require:
        if key not in by_key:
            options.error(f"no system is called '{key}'")
    given.systems = [system for system in SYSTEMS if system.key in given.systems.split(",")]
    given.work = given.work.resolve()
    if given.rounds < 1 or given.queries < 1:
        options.error("--rounds and --queries are at least 1")
    return given


def lacking(results, required):
    """Of the systems that were required those that did not do what they are for."""
    recalls = {system["key"]: max((step["recall"] for step in system["steps"]), default=0) for system in results["systems"]}
    return [key for key in required if recalls.get(key, 0) < REQUIRED_RECALL]


def main(words):
    options = parse(words)
    options.out.mkdir(parents=True, exist_ok=True)
    measured, failed = 0, []
    for name in options.sets:
        try:
            contest = Contest(options, name)
        except FileNotFoundError as missing:
            say(f"{name}: left out: {missing.filename} is not there (--data, QUIVER_DATA)")
            continue
        results = contest.run()
        (options.out / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        report.print_table(results)
        failed += [f"{name}: {key} was required, and was not measured or found too little" for key in lacking(results, options.require)]
        measured += 1
    if not measured:
        sys.exit("compare.py: no set could be read")
    page, lines = report.write(options.out)
    targets.show(lines, options.run)
    say(f"wrote {page}")
    if options.judge:
        failed += [f"missed: {line.what}" for line in targets.missed(lines, options.run)]
    if failed:
        sys.exit("\n".join(f"compare.py: {line}" for line in failed))


if __name__ == "__main__":
    main(sys.argv[1:])
