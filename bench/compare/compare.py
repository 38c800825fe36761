#!/usr/bin/env python3
"""quiver beside hnswlib, faiss, usearch, zvec and SVS: builds an index with each, asks each the same queries one at a time on one thread, taking turns, and
writes recall against queries per second, build time and memory into bench/results/. `make compare` makes what it needs first; see bench/README.md.

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

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]

try:
    import machine
    import report
    import sets
    from systems import SYSTEMS, Failed, Runner
except ImportError as missing:
    sys.exit(f"compare.py: {missing}. `make compare` makes a Python below build/compare/venv that has what this needs.")

LADDER = [10, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024]
ENOUGH = 0.999
FIXED_ROWS = 20


def say(text):
    print(f"{datetime.datetime.now():%H:%M:%S} {text}", flush=True)


def bytes_below(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


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
        }
        self.entries, self.left_out = {}, []

    def leave_out(self, system, reason):
        say(f"{self.about.name}: {system.title}: not measured: {reason}")
        entry = self.entries.pop(system.key, {})
        if "runner" in entry:
            entry["runner"].close()
        self.left_out.append({"title": system.title, "reason": reason})

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

    def search(self, runner, ef):
        return runner.ask(
            action="search", queries=self.about.queries, dim=self.about.dim, k=sets.K, ef=ef, refine=runner.system.refine, at_least=self.options.at_least
        )

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

    def open(self, entry):
        """A new process, so that what a build left in memory is not counted."""
        system = entry["system"]
        runner = Runner(system, self.options.work)
        try:
            opened = runner.ask(action="open", **self.request(system, self.about.rows))
            entry.update(runner=runner, opened=opened)
            self.search(runner, 64)
        except Failed as failed:
            runner.close()
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

    def run(self):
        """The raw numbers, as report.py reads them."""
        load, began = machine.load(), time.monotonic()
        try:
            for system in self.options.systems:
                self.enter(system)
            for entry in list(self.entries.values()):
                self.open(entry)
            self.rounds()
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
            "date": f"{datetime.date.today()}",
            "minutes": round((time.monotonic() - began) / 60, 1),
            "load": [load, machine.load()],
            "short": self.options.short,
            "machine": machine.describe(ROOT / "build" / "bench"),
            "systems": [self.described(entry) for entry in self.entries.values()],
            "not_measured": self.left_out,
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
            "open_seconds": entry["opened"]["wall"],
            "resident_bytes": entry["resident"],
            "fixed_us": entry["fixed"],
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
    options.add_argument("--systems", default=",".join(defaults), metavar="NAMES", help=f"of {', '.join(by_key)} (default: all but quiver-memory)")
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
    given = options.parse_args(words)
    if given.short:
        given.sets, given.rounds, given.at_least = "fashion2k", min(given.rounds, 2), 0.0
    given.out = given.out or (given.work / "short" if given.short else ROOT / "bench" / "results")
    given.sets = given.sets.split(",")
    for name in given.sets:
        if name not in sets.SETS:
            options.error(f"no set is called '{name}'")
    for key in given.systems.split(","):
        if key not in by_key:
            options.error(f"no system is called '{key}'")
    given.systems = [system for system in SYSTEMS if system.key in given.systems.split(",")]
    given.work = given.work.resolve()
    if given.rounds < 1 or given.queries < 1:
        options.error("--rounds and --queries are at least 1")
    return given


def main(words):
    options = parse(words)
    options.out.mkdir(parents=True, exist_ok=True)
    measured = 0
    for name in options.sets:
        try:
            contest = Contest(options, name)
        except FileNotFoundError as missing:
            say(f"{name}: left out: {missing.filename} is not there (--data, QUIVER_DATA)")
            continue
        results = contest.run()
        (options.out / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        report.print_table(results)
        measured += 1
    if not measured:
        sys.exit("compare.py: no set could be read")
    say(f"wrote {report.write(options.out)}")


if __name__ == "__main__":
    main(sys.argv[1:])
