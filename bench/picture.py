"""A picture of the benchmark: for each case the CPU of a transaction through each contender, as a ratio
to the bare relay's (or to pgweir's where no relay can take part), as an SVG file."""
from xml.sax.saxutils import escape

import report

ROW, LEFT, WIDTH, TOP = 26, 250, 560, 60
COLOURS = {"floor": "#888888", "floor-uring": "#bbbbbb", "pgbouncer": "#c0392b",
           "pgbouncer-debian": "#e59866", "pgweir": "#1f618d", "pgweir-uring": "#27ae60",
           "pgweir-workers": "#85c1e9"}
OTHER = "#7d3c98"
RATIO_MAX = 3.0  # further ones stand at the edge


def ratios(rounds):
    """{contender: ratio}"""
    names = report.names_of(rounds)
    base = "floor" if "floor" in names else "pgweir"
    found = {name: report.paired_ratio(rounds, name, base, "cpu_us") for name in names}
    return {name: ratio for name, ratio in found.items() if ratio is not None}


def x_of(ratio):
    return LEFT + WIDTH * min(ratio, RATIO_MAX) / RATIO_MAX


def legend(names):
    parts, x = [], LEFT
    for name in names:
        parts.append(f'<circle cx="{x}" cy="20" r="5" fill="{COLOURS.get(name, OTHER)}"/>'
                     f'<text x="{x + 9}" y="24">{escape(name)}</text>')
        x += 30 + 7 * len(name)
    return parts


def draw(rows):
    """rows: as report.table has them."""
    shown = [(str(case), ratios(rounds)) for case, rounds in rows]
    names = list(dict.fromkeys(name for _, found in shown for name in found))
    bottom = TOP + ROW * len(shown)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 40}" '
             f'height="{bottom + 30}" font-family="sans-serif" font-size="12">',
             '<rect width="100%" height="100%" fill="white"/>', *legend(names)]
    for tenth in range(0, int(RATIO_MAX * 2) + 1):
        x = x_of(tenth / 2)
        parts.append(f'<line x1="{x}" y1="{TOP - 16}" x2="{x}" y2="{bottom}" '
                     f'stroke="{"#666" if tenth == 2 else "#ddd"}"/>'
                     f'<text x="{x - 8}" y="{bottom + 16}">{tenth / 2}</text>')
    for i, (label, found) in enumerate(shown):
        y = TOP + ROW * i
        parts.append(f'<text x="8" y="{y + 4}">{escape(label)}</text>')
        parts += [f'<circle cx="{x_of(ratio):.1f}" cy="{y}" r="5" '
                  f'fill="{COLOURS.get(name, OTHER)}"><title>{escape(name)} {ratio:.2f}</title>'
                  "</circle>" for name, ratio in found.items()]
    return "\n".join([*parts, "</svg>", ""])


def write(path, rows):
    with open(path, "w", encoding="utf-8") as f:
        f.write(draw(rows))
