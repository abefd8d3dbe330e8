"""Tables of medians and paired ratios, and the section of docs/benchmarks.md that keeps them."""
import os
import platform
import re
import statistics
import time


BASES = ("floor", "pgbouncer", "floor-uring")  # what CPU is compared with


def median(values):
    found = [v for v in values if v is not None]
    return statistics.median(found) if found else None


def paired_ratio(rounds, name, base, key):
    """Median over the rounds of (value of `name` / value of `base`) of the same round."""
    ratios = []
    for results in rounds:
        ours, theirs = results.get(name), results.get(base)
        if ours and theirs and getattr(ours, key) and getattr(theirs, key):
            ratios.append(getattr(ours, key) / getattr(theirs, key))
    return median(ratios)


def number(value, digits=0):
    return "–" if value is None else f"{value:,.{digits}f}"


def names_of(rounds):
    return list(dict.fromkeys(name for results in rounds for name in results))


def table(rows):
    """Markdown. rows: [(Case, [round]…)], a round being {contender's name: Result}. A run that was
    lost is left out, and its row says how many are in it."""
    lines = ["| case | through | tps | CPU µs/tx | x floor | x pgbouncer | x floor-uring | at most "
             "| switches/tx | latency ms |", "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|"]
    for case, rounds in rows:
        for name in names_of(rounds):
            all_runs = [results[name] for results in rounds if name in results]
            runs = [r for r in all_runs if not r.error]
            if not runs:
                lines.append(f"| {case} | {name} | failed: {all_runs[0].error} | | | | | | | |")
                continue
            lost = "" if len(runs) == len(all_runs) else f" ({len(runs)} of {len(all_runs)})"
            ratios = [paired_ratio(rounds, name, base, "cpu_us") for base in BASES]
            goals = " / ".join(number(g, 2) for g in case.goals_of(name))
            rates = [r.tps for r in runs]
            lines.append(
                f"| {case} | {name}{lost} | {number(median(rates), 0 if median(rates) > 100 else 1)} "
                f"| {number(median([r.cpu_us for r in runs]), 1)} "
                f"| {' | '.join(number(r, 2) for r in ratios)} "
                f"| {goals} "
                f"| {number(median([r.switches for r in runs]), 2)} "
                f"| {number(median([r.latency_ms for r in runs]), 2)} |")
    return "\n".join(lines)


def percentiles(rows):
    """Markdown of the runs at half of capacity; "" if there are none."""
    lines = []
    for case, rounds in rows:
        for name in names_of(rounds):
            runs = [r[name] for r in rounds if name in r and r[name].percentiles_us]
            if not runs:
                continue
            values = " | ".join(number(median([r.percentiles_us[i] for r in runs]))
                                for i in range(3))
            ratio = paired_ratio([r for r in rounds if name in r], name, "floor", "p99_us")
            lines.append(f"| {case} | {name} | {values} | {number(ratio, 2)} |")
    if not lines:
        return ""
    return "\n".join(["At half of what the slowest of them can do, in µs:", "",
                      "| case | through | p50 | p95 | p99 | p99 x floor |",
                      "|---|---|--:|--:|--:|--:|", *lines])


def counts(title, columns, rows):
    """Markdown of what is counted. columns: [(name, digits)]; rows: [(name, values)], as many as
    there are columns."""
    lines = [f"| through | {' | '.join(name for name, _ in columns)} |",
             f"|---|{'--:|' * len(columns)}"]
    lines += [f"| {name} | "
              f"{' | '.join(number(v, d) for v, (_, d) in zip(values, columns))} |"
              for name, values in rows if any(v is not None for v in values)]
    return "\n".join([title, "", *lines])


def _first_match(path, pattern):
    with open(path, encoding="utf-8") as f:
        found = re.search(pattern, f.read(), re.MULTILINE)
    return found.group(1).strip() if found else "unknown"


def machine():
    """Facts about the machine, none of which names it."""
    memory = int(_first_match("/proc/meminfo", r"^MemTotal:\s+(\d+)")) / (1 << 20)
    return (f"{_first_match('/proc/cpuinfo', r'^model name.*: (.*)$')}, "
            f"{os.cpu_count()} CPUs, {memory:.0f} GiB, Linux {platform.release().split('-')[0]}")


def facts(versions, how):
    lines = [f"- {time.strftime('%Y-%m-%d')}; {machine()}",
             "- " + "; ".join(f"{name} {version}" for name, version in versions.items() if version),
             f"- {how}"]
    return "\n".join(lines)


def write_section(path, name, text):
    """Replace what stands between the marks of this section; both marks have to be there."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    with open(path, encoding="utf-8") as f:
        old = f.read()
    if begin not in old or end not in old:
        raise RuntimeError(f"{path} lacks the marks of the section {name}")
    new = old[:old.index(begin)] + f"{begin}\n{text}\n" + old[old.index(end):]
    with open(path, "w", encoding="utf-8") as f:
        f.write(new)
