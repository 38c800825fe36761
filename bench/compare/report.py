#!/usr/bin/env python3
"""Makes the report of what compare.py measured: <folder>/compare.html, which needs no script and no network, <folder>/<set>.svg and
<folder>/targets.json. Needs nothing but Python.

report.py [FOLDER]      default: bench/results
"""

import json
import pathlib
import sys
from html import escape

import svg
import targets
from targets import BASELINE, qps_at

RECALLS = (0.90, 0.95, 0.99)
TABLE = "targets.json"
MIB = 2**20
STYLE = """
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; color: #1f2328; background: #fff; max-width: 1060px; margin: 32px auto; padding: 0 20px; }
h1 { font-size: 27px; margin: 0 0 6px; } h2 { font-size: 21px; margin: 52px 0 4px; border-top: 1px solid #d1d9e0; padding-top: 26px; } h3 { font-size: 16px; margin: 26px 0 6px; }
p { margin: 6px 0 12px; max-width: 82ch; } .soft { color: #59636e; font-size: 13.5px; } .warn { background: #fff3d6; border-left: 4px solid #c98a00; padding: 8px 12px; }
svg { max-width: 100%; height: auto; display: block; margin: 12px 0; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 13.5px; font-variant-numeric: tabular-nums; margin: 10px 0; }
th, td { padding: 4px 10px; text-align: right; border-bottom: 1px solid #e4e7eb; white-space: nowrap; } th { font-weight: 600; border-bottom: 2px solid #d1d9e0; vertical-align: bottom; }
th:first-child, td:first-child, td.words { text-align: left; } td.words { white-space: normal; } tr.ours td { background: #fff4ef; font-weight: 600; } tr.missed td { background: #fff3d6; } tr.absent td { color: #59636e; } small { color: #59636e; font-weight: normal; }
summary { cursor: pointer; margin: 10px 0; } pre { font-size: 11.5px; overflow-x: auto; background: #f6f8fa; padding: 10px; }
ul { padding-left: 20px; }
"""


def ratios(results):
    """By system and recall: the rate, and how many times the baseline's it is; None where either is not reached."""
    base = next((system for system in results["systems"] if system["key"] == BASELINE), None)
    found = {}
    for system in results["systems"]:
        for recall in RECALLS:
            rate = qps_at(system["steps"], recall)
            theirs = qps_at(base["steps"], recall) if base else None
            found[system["key"], recall] = (rate, rate / theirs if rate and theirs else None)
    return found


def by_rate(results):
    """The fastest at recall 0.95 first, and those that do not reach it last."""
    return sorted(results["systems"], key=lambda system: -(qps_at(system["steps"], 0.95) or 0))


def build_of(system):
    """Seconds: index, or index + rows."""
    if not system["build"]:
        return "the same"
    index, rows = (svg.seconds(system["build"][part]) for part in ("index_cpu", "rows_cpu"))
    return f"{index} + {rows}" if system["build"]["rows_cpu"] else index


def print_table(results):
    """For a terminal."""
    about, found = results["set"], ratios(results)
    print(f"\n{about['name']}: {about['rows']:,} x {about['dim']}, queries per second at recall 0.90 / 0.95 / 0.99 (x {BASELINE})")
    for system in by_rate(results):
        cells = []
        for recall in RECALLS:
            rate, ratio = found[system["key"], recall]
            cells.append("not reached".rjust(18) if rate is None else f"{svg.number(rate):>9}" + (f" ({ratio:.2f}x)".rjust(9) if ratio else " " * 9))
        print(f"  {system['title']:<40}{''.join(cells)}   build, CPU s {build_of(system):>14}  {system['resident_bytes'] / MIB:>6.0f} MiB")
    for missing in results["not_measured"]:
        print(f"  {missing['title']:<40} not measured: {missing['reason']}")
    print(flush=True)


def table(head, rows):
    """Cells are HTML already. A row is (its class, its cells)."""
    cells = "".join(f"<th>{cell}</th>" for cell in head)
    body = "\n".join(f'<tr class="{kind}">' + "".join(row) + "</tr>" for kind, row in rows)
    return f'<div class="wide"><table><thead><tr>{cells}</tr></thead><tbody>\n{body}\n</tbody></table></div>'


def cell(value, kind=""):
    return f'<td class="{kind}">{value}</td>' if kind else f"<td>{value}</td>"


def summary(results):
    found, rows = ratios(results), []
    for system in by_rate(results):
        cells = [cell(escape(system["title"]))]
        for recall in RECALLS:
            rate, ratio = found[system["key"], recall]
            cells.append(cell("<small>not reached</small>" if rate is None else svg.number(rate) + (f" <small>{ratio:.2f}x</small>" if ratio else "")))
        cells += [
            cell(system["language"]),
            cell("-" if system["fixed_us"] is None else svg.number(system["fixed_us"])),
            cell(f"<small>{build_of(system)}</small>" if not system["build"] else build_of(system) + ("*" if system["build"]["reused"] else "")),
            cell(svg.number(system["resident_bytes"] / MIB)),
            cell(svg.number(system["build"]["bytes"] / MIB) if system["build"] else "<small>the same</small>"),
            cell(svg.number(1000 * system["open_seconds"])),
        ]
        rows.append(("ours" if system["family"] == "quiver" else "", cells))
    head = [
        "system",
        *(f"QPS at {recall:.2f}<br><small>x {BASELINE}</small>" for recall in RECALLS),
        "called<br>from",
        "fixed,<br>us",
        "build,<br>CPU s",
        "memory,<br>MiB",
        "files,<br>MiB",
        "open,<br>ms",
    ]
    return table(head, rows)


def raw(results):
    rows = [
        (
            "",
            [
                cell(escape(system["title"])),
                cell(step["ef"]),
                cell(f"{step['recall']:.4f}"),
                cell(f"{step['qps']:,.0f}"),
                cell(f"{step['qps_wall']:,.0f}"),
                cell(" ".join(f"{rate:,.0f}" for rate in step["rounds"]), "words"),
            ],
        )
        for system in results["systems"]
        for step in system["steps"]
    ]
    return table(["system", "ef", "recall", "QPS, CPU", "QPS, wall", "of each round, CPU"], rows)


def took_part(results):
    rows = [
        ("", [cell(escape(system["title"])), cell(escape(str(system["version"]))), cell(escape(system["settings"]), "words")]) for system in results["systems"]
    ]
    return table(["system", "version", "settings"], rows)


def of_machine(results):
    rows = [("", [cell(escape(name)), cell(escape(str(value)), "words")]) for name, value in results["machine"].items() if value != ""]
    return table(["machine", ""], rows)


def busy(results):
    """How much longer the searches took on the wall than on the processor; 1 on a machine that has nothing else to do."""
    shares = sorted(step["qps"] / step["qps_wall"] for system in results["systems"] for step in system["steps"])
    return shares[len(shares) // 2] if shares else 1.0


def judgement(lines):
    """The table of targets."""
    kinds = {"MISS": "missed", "not measured": "absent"}
    rows = []
    for line in lines:
        *numbers, verdict = targets.cells(line)
        why = f" <small>{escape(line.why)}</small>" if line.why else ""
        rows.append((kinds.get(line.verdict, ""), [cell(escape(line.what)), *(cell(escape(number)) for number in numbers), cell(verdict + why, "words")]))
    return f"""<h2 id="targets">Targets</h2>
<p>Each line is made of numbers of one run. A ratio of 1 or more means that the target is reached. {targets.counts(lines)}.</p>
{table(["what", "target", "reached", "ratio", ""], rows)}"""


def section(results):
    about = results["set"]
    parts = [f'<h2 id="{about["name"]}">{escape(about["name"])}</h2>']
    facts = f"{about['rows']:,} rows of {about['dim']} numbers, {'cosine' if about['metric'] == 'cosine' else 'squared L2'}, {about['queries']:,} queries, {results['rounds']} rounds, {results['date']}"
    parts.append(f'<p>{escape(about["note"])}. <span class="soft">{facts}.</span></p>')
    crowd = busy(results)
    notes = []
    if results["short"]:
        notes.append("A short run: it shows that everything runs, and its figures mean nothing.")
    if crowd > 1.1:
        notes.append(
            f"The machine was busy with other work: searches took {crowd:.2f} times as long on the wall as on the processor (load {results['load'][0]} before, {results['load'][1]} after)."
        )
    if notes:
        parts.append(f'<p class="warn">{escape(" ".join(notes))}</p>')
    parts += [svg.recall_against_qps(results, by_rate(results)), summary(results)]
    if any(system["build"] and system["build"]["reused"] for system in results["systems"]):
        parts.append('<p class="soft">* built in an earlier run of the same program.</p>')
    parts.append(svg.bars(results))
    if results["not_measured"]:
        items = "".join(f"<li>{escape(missing['title'])}: {escape(missing['reason'])}</li>" for missing in results["not_measured"])
        parts.append(f"<h3>Not measured</h3><ul>{items}</ul>")
    parts.append(f"<details><summary>Versions, settings, machine</summary>{took_part(results)}{of_machine(results)}</details>")
    parts.append(f"<details><summary>Every step</summary>{raw(results)}</details>")
    parts.append(f"<details><summary>All of it as JSON</summary><pre>{escape(json.dumps(results))}</pre></details>")
    return "\n".join(parts)


def conditions(results):
    return f"""<p>Each system runs in a process of its own that stays alive; all read the same float32 rows. They build with one thread. Then they take turns: in each
round, at each <i>ef</i>, one after another in rotating order, each answers every query, one a call, for k = {results['k']}. A rate is queries per second of processor
time, all threads of the process counted, of all rounds the median. Processes are opened anew after the build, and have answered every query once before the first round.</p>
<p><b>Recall</b> is the share of returned rows whose exact distance is not above that of the exact tenth, so ties count. Rates at a recall are read off the line between two
steps (the logarithm of the rate over recall); where the smallest <i>ef</i> finds more already, its rate. <b>x {BASELINE}</b> is against {BASELINE} of the same run, compiled with the
same flags as quiver and called from C++ like it. Most others are called from Python, as their makers offer them: <b>fixed</b> is what a query to {results['fixed_rows']} rows costs there, in
microseconds, so that everyone can see how much of a rate is the call. <b>Build</b> is processor time of making the index, plus that of taking the rows where a store keeps them
(<i>index + rows</i>). <b>Memory</b> is what became resident between opening and the end of the searches, mapped files included; <b>files</b> is what was left on disk.</p>"""


def page(all_results, lines):
    links = ", ".join(f'<a href="#{results["set"]["name"]}">{escape(results["set"]["name"])}</a>' for results in all_results)
    machines = sorted({f"{results['machine']['processor']}, {results['machine']['cores']} cores, {results['machine']['compiler']}" for results in all_results})
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>quiver beside others</title><style>{STYLE}</style></head><body>
<h1>quiver beside others</h1>
<p class="soft">{escape('; '.join(machines))}. Sets: {links}; <a href="#targets">targets</a>. Written by <code>make compare</code>.</p>
{conditions(all_results[0])}
{chr(10).join(section(results) for results in all_results)}
{judgement(lines)}
</body></html>
"""


def read(folder):
    """The results in the folder, the smallest set first."""
    paths = [path for path in sorted(pathlib.Path(folder).glob("*.json")) if path.name != TABLE]
    all_results = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    if not all_results:
        raise SystemExit(f"report.py: no results in {folder}")
    return sorted(all_results, key=lambda results: (results["set"]["rows"], results["set"]["name"]))


def write(folder):
    """Reads every <set>.json of the folder; returns the path of the page and the lines of the table of targets."""
    folder = pathlib.Path(folder)
    all_results = read(folder)
    lines = targets.lines_of(all_results)
    for results in all_results:
        (folder / f"{results['set']['name']}.svg").write_text(svg.recall_against_qps(results, by_rate(results)) + "\n", encoding="utf-8")
    (folder / TABLE).write_text(json.dumps([line.described() for line in lines], indent=1) + "\n", encoding="utf-8")
    (folder / "compare.html").write_text(page(all_results, lines), encoding="utf-8")
    return folder / "compare.html", lines


if __name__ == "__main__":
    if len(sys.argv) > 2 or "--help" in sys.argv or "-h" in sys.argv:
        sys.exit(__doc__)
    written, its_lines = write(sys.argv[1] if len(sys.argv) == 2 else pathlib.Path(__file__).resolve().parents[1] / "results")
    targets.show(its_lines)
    print(written)
