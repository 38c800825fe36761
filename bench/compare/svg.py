"""The pictures of the report: SVG as text, with the standard library alone."""

import math
from html import escape

FONT = "font-family=\"system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif\""
INK, SOFT, GRID = "#1f2328", "#59636e", "#e4e7eb"
# Far apart in hue and lightness, for the colour-blind too; dashes and marks tell the members of a family apart.
COLOURS = {"quiver": "#e03c00", "hnswlib": "#1f2328", "faiss": "#0072b2", "usearch": "#009e73", "zvec": "#9b4dca", "svs": "#c98a00"}
DASHES = ["", "7 4", "2 3", "10 3 2 3"]
MARKS = ["circle", "square", "triangle", "diamond"]
# Everything from 0.9995 on is drawn at the right edge.
RECALLS = [0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999]
LOW, HIGH = 0.8, 0.9995


def number(value):
    """1234.5 -> 1,230: three digits that count."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    rounded = round(value, 2 - math.floor(math.log10(abs(value))))
    return f"{rounded:,.{digits}f}"


def seconds(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def text(x, y, words, size=13, anchor="start", colour=INK, weight="normal", more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}" font-weight="{weight}" {more}>{escape(words)}</text>'


def line(x1, y1, x2, y2, colour=GRID, width=1.0, dash=""):
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"{dashes}/>'


def mark(kind, x, y, colour, size=4.0, title=""):
    hint = f"<title>{escape(title)}</title>" if title else ""
    look = f'fill="{colour}" stroke="#fff" stroke-width="1"'
    if kind == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size}" {look}>{hint}</circle>'
    points = {
        "square": [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
        "triangle": [(0, -1.2), (1.1, 0.9), (-1.1, 0.9)],
        "diamond": [(0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)],
    }[kind]
    where = " ".join(f"{x + size * a:.1f},{y + size * b:.1f}" for a, b in points)
    return f'<polygon points="{where}" {look}>{hint}</polygon>'


def document(width, height, parts, label):
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{escape(label)}" {FONT}>'
    return "\n".join([head, f'<rect width="{width}" height="{height}" fill="#fff"/>', *parts, "</svg>"])


def looks(systems):
    """Colour, dash and mark of each system, by its place in its family."""
    seen, found = {}, {}
    for system in systems:
        place = seen.setdefault(system["family"], 0)
        seen[system["family"]] += 1
        colour = COLOURS.get(system["family"], "#777777")
        found[system["key"]] = (colour, DASHES[place % len(DASHES)], MARKS[place % len(MARKS)], 3.2 if system["family"] == "quiver" else 1.7)
    return found


def recall_against_qps(results, order):
    """Recall from left to right, each tenth of what is missing as wide as the one before; queries per second upwards, logarithmic."""
    width, height, left, right, top, bottom = 1040, 560, 74, 262, 58, 58
    plot_width, plot_height = width - left - right, height - top - bottom
    shown = {system["key"]: [step for step in system["steps"] if step["recall"] >= LOW] for system in order}
    rates = [step["qps"] for steps in shown.values() for step in steps]
    if not rates:
        rates = [step["qps"] for system in order for step in system["steps"]] or [1.0]
    lowest, highest = math.log10(min(rates)) - 0.05, math.log10(max(rates)) + 0.08

    def spread(recall):
        return -math.log10(1 - min(recall, HIGH))

    def x_of(recall):
        return left + plot_width * (spread(recall) - spread(LOW)) / (spread(HIGH) - spread(LOW))

    def y_of(rate):
        return top + plot_height * (highest - math.log10(rate)) / (highest - lowest)

    about = results["set"]
    parts = [
        text(left, 24, f"{about['name']}: queries per second at a recall", 17, weight="600"),
        text(
            left,
            43,
            f"{about['rows']:,} x {about['dim']}, {'cosine' if about['metric'] == 'cosine' else 'L2'}, recall@{results['k']}, one thread, one query a call, processor time; upper right is better",
            12.5,
            colour=SOFT,
        ),
        f'<clipPath id="plot-{about["name"]}"><rect x="{left}" y="{top}" width="{plot_width + 5}" height="{plot_height}"/></clipPath>',
    ]
    for recall in RECALLS:
        parts += [line(x_of(recall), top, x_of(recall), top + plot_height), text(x_of(recall), top + plot_height + 19, f"{recall:g}", 12, "middle", SOFT)]
    parts.append(text(x_of(HIGH), top + plot_height + 19, "1", 12, "middle", SOFT))
    steps = (1, 2, 5) if highest - lowest > 1.3 else (1, 1.5, 2, 3, 4, 5, 6, 8)
    for rate in [step * 10**decade for decade in range(math.floor(lowest), math.ceil(highest) + 1) for step in steps]:
        if lowest <= math.log10(rate) <= highest:
            parts += [line(left, y_of(rate), left + plot_width, y_of(rate)), text(left - 9, y_of(rate) + 4, f"{rate:,.0f}", 12, "end", SOFT)]
    parts += [
        line(left, top + plot_height, left + plot_width, top + plot_height, SOFT),
        line(left, top, left, top + plot_height, SOFT),
        text(left + plot_width / 2, height - 14, "recall", 13, "middle"),
        text(20, top + plot_height / 2, "queries per second", 13, "middle", more=f'transform="rotate(-90 20 {top + plot_height / 2:.0f})"'),
    ]
    styles = looks(results["systems"])
    parts.append(f'<g clip-path="url(#plot-{about["name"]})">')
    for system in reversed(order):
        colour, dash, kind, stroke = styles[system["key"]]
        # The step before the first shown one too, so that the line comes in from the left.
        steps = system["steps"]
        first = next((i for i, step in enumerate(steps) if step["recall"] >= LOW), len(steps))
        drawn = [(x_of(max(step["recall"], 0.5)), y_of(step["qps"])) for step in steps[max(0, first - 1) :]]
        if drawn:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in drawn)
            parts.append(
                f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{stroke}" stroke-dasharray="{dash or "none"}" stroke-linejoin="round"/>'
            )
        for step in shown[system["key"]]:
            hint = f"{system['title']}, ef {step['ef']}: recall {step['recall']:.4f}, {number(step['qps'])} a second"
            parts.append(mark(kind, x_of(step["recall"]), y_of(step["qps"]), colour, 4.4 if system["family"] == "quiver" else 3.4, hint))
    parts.append("</g>")
    x = left + plot_width + 24
    for place, system in enumerate(order):
        y = top + 10 + 22 * place
        colour, dash, kind, stroke = styles[system["key"]]
        parts += [
            line(x, y, x + 34, y, colour, stroke, dash),
            mark(kind, x + 17, y, colour, 4.0),
            text(x + 43, y + 4.5, system["title"], 12.5, weight="600" if system["family"] == "quiver" else "normal"),
        ]
    parts.append(text(x, top + 10 + 22 * len(order) + 6, "in the order of the rate at recall 0.95", 11.5, colour=SOFT))
    return document(width, max(height, top + 22 * len(order) + 40), parts, f"Recall against queries per second on {about['name']}")


def bars(results):
    """Processor seconds of the build and resident bytes while searching, a row a system."""
    systems = results["systems"]
    width, label, gap, row, top = 1040, 268, 64, 25, 58
    half = (width - label - 2 * gap) / 2
    left, right = label, label + half + gap
    height = top + row * len(systems) + 40
    raw = 4 * results["set"]["rows"] * results["set"]["dim"]
    spent = [system["build"]["index_cpu"] + system["build"]["rows_cpu"] if system["build"] else 0 for system in systems]
    most_seconds = max(spent, default=0) or 1
    most_bytes = max([raw, *(system["resident_bytes"] for system in systems)])
    mib = 2**20
    parts = [text(left, 24, "Build, seconds of processor time", 14.5, weight="600"), text(right, 24, "Memory while searching, MiB", 14.5, weight="600")]
    parts.append(text(left, 42, "pale: taking the rows, where a store keeps them", 11.5, colour=SOFT))
    at = right + half * raw / most_bytes
    parts += [
        text(right, 42, f"dashes: the rows as float32, {number(raw / mib)} MiB", 11.5, colour=SOFT),
        line(at, top - 6, at, top + row * len(systems) + 4, SOFT, 1, "4 3"),
    ]
    for place, system in enumerate(systems):
        y = top + row * place
        colour = looks(systems)[system["key"]][0]
        parts.append(text(label - 12, y + 14, system["title"], 12.5, "end", weight="600" if system["family"] == "quiver" else "normal"))
        if system["build"]:
            index, rows = (half * system["build"][part] / most_seconds for part in ("index_cpu", "rows_cpu"))
            parts.append(f'<rect x="{left}" y="{y}" width="{max(index, 1):.1f}" height="{row - 8}" fill="{colour}" fill-opacity="0.85"/>')
            parts.append(f'<rect x="{left + index:.1f}" y="{y}" width="{rows:.1f}" height="{row - 8}" fill="{colour}" fill-opacity="0.3"/>')
            parts.append(text(left + index + rows + 6, y + 13, seconds(spent[place]), 11.5, colour=SOFT))
        else:
            parts.append(text(left + 2, y + 13, "the same index", 11.5, colour=SOFT))
        wide = half * system["resident_bytes"] / most_bytes
        parts.append(f'<rect x="{right}" y="{y}" width="{max(wide, 1):.1f}" height="{row - 8}" fill="{colour}" fill-opacity="0.85"/>')
        parts.append(text(right + wide + 6, y + 13, number(system["resident_bytes"] / mib), 11.5, colour=SOFT))
    return document(width, height, parts, f"Build time and memory on {results['set']['name']}")
