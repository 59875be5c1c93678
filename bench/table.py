#!/usr/bin/env python3
"""Writes what target/bench/results.json holds into docs/benchmarks.md, between its two marks."""

import json
import statistics

import lab as labs

PAGE = labs.HERE.parent / "docs/benchmarks.md"
BEGIN, END = "<!-- measured -->\n", "<!-- /measured -->\n"
COLUMNS = ("O", "G", "P", "floor")
book = json.loads((labs.WORK / "results.json").read_text())


def found(peer, step, value):
    """The figure of each turn."""
    figures = []
    for turn in book.get(peer, {}).get(step, {}).get("turns", []):
        try:
            figure = value(turn)
        except KeyError:
            continue
        figures += figure if isinstance(figure, list) else [figure] if figure is not None else []
    return figures


def number(figure, digits):
    return f"{figure:,.{digits}f}"


def cell(figures, digits):
    if not figures:
        return ""
    middle, least, most = (number(f(figures), digits) for f in (statistics.median, min, max))
    return middle if least == most else f"{middle} ({least} – {most})"


def ratio(a, b):
    return f"{statistics.median(a) / statistics.median(b):.2f}" if a and b and statistics.median(b) else ""


def verdict(goal, of):
    """The goal in words, and whether the operator's figure meets it."""
    if goal is None:
        return "", ""
    bound, peer = goal if isinstance(goal, tuple) else (goal, None)
    words = f"≤ {bound} × {peer}" if peer else f"≤ {bound}" if bound else "0"
    if not of["O"] or (peer and not of[peer]):
        return words, ""
    most = bound * (statistics.median(of[peer]) if peer else 1)
    return words, "met" if statistics.median(of["O"]) <= most + 1e-9 else "**not met**"


def loads(peer, step):
    """Cores that others used during each turn."""
    return found(peer, step, lambda turn: turn["others_cpu_s"] / turn["turn_s"])


def noise(step):
    return cell([statistics.median(loads("O", step))], 2) if loads("O", step) else ""


def table(rows):
    lines = ["| | " + " | ".join(COLUMNS) + " | O ÷ G | O ÷ floor | goal | | noise |", "|---" * (len(COLUMNS) + 6) + "|"]
    for title, step, value, digits, goal in rows:
        of = {peer: found(peer, step, value) for peer in (*COLUMNS, "G+lookup", "P+lookup")}
        if any(of.values()):
            lines.append(f"| {title} | " + " | ".join([*(cell(of[peer], digits) for peer in COLUMNS), ratio(of["O"], of["G"]),
                                                       ratio(of["O"], of["floor"]), *verdict(goal, of), noise(step)]) + " |")
    return "\n".join(lines) if len(lines) > 2 else ""


def key(*path):
    def value(turn):
        for part in path:
            turn = turn[part]
        return turn
    return value


def writes(*kinds, by=1, of=()):
    """Writes of these kinds, or of all; not those of what an account's verification showed."""
    return lambda turn: sum(count for kind, count in key(*of)(turn)["writes"].items() if kind in kinds or (not kinds and kind != "accounts")) / by


# Title, step, figure, digits, goal: at most that, or (that, times whose).
SPEED = [
    ("process start → first create call, s", "startup", key("startup_s"), 2, (0.5, "G")),
    ("one object applied → create call, median ms", "latency", key("p50_ms"), 1, (0.8, "G")),
    ("… 98 % of them, ms", "latency", key("p98_ms"), 1, None),
    ("… of the median the apply itself, ms", "latency", key("apply_p50_ms"), 1, None),
    ("1,000 applied at once → all ids in status, s", "burst", key("ids_s"), 1, (1.15, "floor")),
    ("… own create → own id, median s", "burst", key("own_p50_s"), 2, None),
    ("… all Completed (20 s in the cloud), s", "burst", key("completed_s"), 1, None),
    ("1,000, 100 ms a cloud call → all ids, s", "burst100", key("ids_s"), 1, (0.4, "G")),
    ("restart, 1,000 that ended meanwhile → all Completed, s", "running", key("caught_up_s"), 1, 1.5),
    ("start with 10,000 settled → calm, s", "idle", key("calm_s"), 1, 3),
]
CPU = [
    ("the burst, s", "burst", key("cpu_s"), 2, 1.0),
    ("… API server, etcd, cloud and loader, s", "burst", key("lab_cpu_s"), 1, None),
    ("a minute with 1,000 running, s", "running", key("cpu_a_minute_s"), 2, 0.05),
    ("start with 10,000 settled until calm, s", "idle", key("cpu_to_calm_s"), 2, 0.8),
    ("a minute with 10,000 settled, s", "idle", key("cpu_60s_idle_s"), 2, 0.02),
]
MEMORY = [
    ("without objects", "latency", key("rss_0_mib"), 1, 10),
    ("1,000 objects, after the burst", "burst", key("rss_mib"), 1, 15),
    ("… at most", "burst", key("peak_mib"), 1, None),
    ("10,000 settled", "idle", key("rss_mib"), 1, 40),
    ("… at most", "idle", key("peak_mib"), 1, None),
    ("400 with annotations of 250 KB, at most", "large", key("peak_mib"), 1, None),
    ("what is shipped (P: without CPython)", "size", key("mib"), 1, 10),
]
CALLS = [
    ("status writes for each object of the burst", "burst", writes("status", by=1000), 2, 3),
    ("… Events", "burst", writes("events", by=1000), 2, None),
    ("… other writes", "burst", writes("objects", "conflicts", by=1000), 2, None),
    ("cloud lists for the burst", "burst", key("list"), 0, 22),
    ("cloud lists a minute, 1,000 running", "running", key("lists_a_minute"), 0, 44),
    ("cloud lists in the minute after a restart, 1,000 running", "running", key("restart_lists"), 0, None),
    ("create calls in that minute", "running", key("restart_create"), 0, 0),
    ("cloud lists to catch up with 1,000 that ended meanwhile", "running", key("caught_up_lists"), 0, 20),
    ("writes at a start with 10,000 settled", "idle", writes(), 0, 0),
    ("… whose messages an earlier version worded otherwise", "upgrade", writes(), 0, 0),
    ("200 objects, 10 kills, a tenth of the answers lost: backups twice", "duplicates", key("duplicates"), 0, 0),
    ("… objects that never got an id", "duplicates", key("never_an_id"), 0, 0),
]


def facts(rows):
    """A table of figures of the operator alone."""
    lines = ["| | O | goal | | noise |", "|---|---|---|---|---|"]
    for title, step, value, digits, goal in rows:
        figures = found("O", step, value)
        if figures:
            title = title.replace("MOST", ", ".join(f"{most:,}" for most in found("O", "scale", lambda t: max(map(int, t["sizes"])))))
            lines.append(f"| {title} | {cell(figures, digits)} | " + " | ".join([*verdict(goal, {"O": figures}), noise(step)]) + " |")
    return "\n".join(lines) if len(lines) > 2 else ""


def largest(*path):
    """A figure of the row of the scale with the most objects."""
    return lambda turn: key(*path)(max(turn["sizes"].items(), key=lambda size: int(size[0]))[1])


FLEETS = [
    ("MOST settled objects: memory, MiB", "scale", largest("rss_mib"), 0, 128),
    ("… listed anew, since the API server forgot: memory at most ÷ before", "scale",
     lambda t: t["relist"]["peak_mib"] / t["relist"]["steady_mib"], 2, 1.5),
    ("… API server ready → calm, s", "scale", key("relist", "ready_to_calm_s"), 1, None),
    ("… writes for that", "scale", writes(of=["relist"]), 0, 0),
    ("… kill -9 while 1,000 end: all Completed after, s", "scale", key("kill", "caught_up_s"), 1, 30),
    ("… cloud lists for that", "scale", key("kill", "caught_up_lists"), 0, 20),
    ("… backups twice", "scale", key("kill", "duplicates"), 0, 0),
    ("300 accounts: start → all of them Ready, s", "accounts", key("all_ready_s"), 1, None),
    ("… 1,000 backups over them → all ids, s", "accounts", key("ids_s"), 1, None),
    ("… cloud lists a minute with these running", "accounts", key("lists_a_minute"), 0, None),
    ("… CPU in that minute, s", "accounts", key("cpu_a_minute_s"), 2, None),
    ("… memory, MiB", "accounts", key("rss_mib"), 1, None),
    ("… a restart: until calm, s", "accounts", key("restart", "calm_s"), 1, None),
    ("… a restart: CPU for it, s", "accounts", key("restart", "cpu_to_calm_s"), 2, None),
    ("… a restart: writes to backups", "accounts", writes(of=["restart"]), 0, 0),
    ("… a restart: writes to accounts, which are verified anew", "accounts", writes("accounts", of=["restart"]), 0, None),
    ("100 schedules with 100 backups each: start until calm, s", "schedules", key("calm_s"), 1, None),
    ("… CPU for it, s", "schedules", key("cpu_to_calm_s"), 2, None),
    ("… writes", "schedules", writes(), 0, 0),
    ("… CPU in a calm minute, s", "schedules", key("cpu_60s_idle_s"), 2, None),
    ("… memory, MiB", "schedules", key("rss_mib"), 1, None),
    ("beside 600 blocked objects of another tenant, 5 calls a second: applied → create call, median ms", "tenants", key("p50_ms"), 0, None),
    ("… 98 % of them, ms", "tenants", key("p98_ms"), 0, None),
    ("200 backups of RDS applied at once: the first one Running, s", "rds", key("running", "first_s"), 0, None),
    ("… the last one Running, s", "rds", key("running", "last_s"), 0, None),
    ("… all end at one moment: noticed after, median s", "rds", key("noticed", "p50_s"), 0, None),
    ("… 98 % of them, s", "rds", key("noticed", "p98_s"), 0, None),
    ("… the last one, s", "rds", key("noticed", "last_s"), 0, None),
    ("… most calls of RDS in any minute", "rds", key("rds_busiest_minute"), 0, 60),
    ("… refused calls (429)", "rds", key("rds_refused"), 0, 0),
    ("… list calls in all", "rds", key("list"), 0, None),
    ("a scrape of the metrics, 1,000 instances: median ms", "burst", key("scrape", "p50_ms"), 1, None),
    ("… CPU for it, ms", "burst", key("scrape", "cpu_ms"), 1, None),
    ("… its text, MB", "burst", key("scrape", "mb"), 2, None),
]
SLOPES = [("start → first create call, s", "first_call_s", 2), ("start → calm, s", "calm_s", 1), ("CPU for it, s", "cpu_to_calm_s", 2),
          ("memory, MiB", "rss_mib", 1), ("memory at most, MiB", "peak_mib", 1), ("CPU in a calm minute, s", "cpu_60s_idle_s", 2)]
COUNTS = [("writes", writes()), ("requests to the API server", lambda row: sum(row["requests"].values())),
          ("cloud lists, 1,000 running", lambda row: row["cloud_lists"])]


def scale():
    """The rows of growing fleets, and what a thousand objects more cost between two of them."""
    turns = book.get("O", {}).get("scale", {}).get("turns", [])
    if not turns:
        return ""
    sizes = sorted(turns[-1]["sizes"].items(), key=lambda size: int(size[0]))
    steps = list(zip(sizes, sizes[1:]))
    heads = [f"{int(size):,}" for size, _ in sizes]
    between = [f"{int(a[0]):,} – {int(b[0]):,}" for a, b in steps]
    lines = ["| settled objects | " + " | ".join(heads) + " | a thousand more: " + " | ".join(between) + " |",
             "|---" * (1 + len(heads) + len(between)) + "|"]
    for title, name, digits in SLOPES:
        slopes = [(b[1][name] - a[1][name]) * 1000 / (int(b[0]) - int(a[0])) if None not in (a[1][name], b[1][name]) else None for a, b in steps]
        show = lambda figure, digits: "" if figure is None else number(figure, digits)
        lines.append(f"| {title} | " + " | ".join([*(show(row[name], digits) for _, row in sizes), *(show(s, 3) for s in slopes)]) + " |")
    for title, value in COUNTS:
        lines.append(f"| {title} | " + " | ".join([*(number(value(row), 0) for _, row in sizes), *("" for _ in steps)]) + " |")
    return "\n".join(lines)


def lookups():
    twice = {peer: cell(found(peer, "duplicates", key("duplicates")), 0) for peer in ("G+lookup", "P+lookup")}
    words = ", ".join(f"{peer.split('+')[0]} {count}" for peer, count in twice.items() if count)
    return f"Backups twice by peers that look an unanswered create call up by name before they repeat it: {words}." if words else ""


def full_floor():
    """What of the distance between the operator and the floor comes from what its statuses say."""
    words = []
    for what, step, value in (("the burst", "burst", key("ids_s")), ("the restart", "running", key("caught_up_s"))):
        own, floor = found("O", step, value), found("floor+status", step, value)
        if own and floor:
            words.append(f"{what} {cell(floor, 1)} s (O ÷ that: {ratio(own, floor)})")
    return f"The floor with statuses that say as much as those of O, on the definitions of O: {', '.join(words)}." if words else ""


def origin():
    of = book["machine"]
    dates = sorted({step["date"] for peer in COLUMNS for step in book.get(peer, {}).values()})
    builds = sorted({step["build"] for step in book.get("O", {}).values()})
    lines = ["| | |", "|---|---|", f"| date | {' – '.join(sorted({dates[0], dates[-1]}))} |", f"| operator | {', '.join(builds)}, rustc {of['rustc']} |",
             f"| machine | {of['machine']} |", f"| Kubernetes, etcd | {of['Kubernetes']}, {of['etcd']}, fsync off |",
             f"| G | {of['G']}, {of['Go']} |", f"| P | {of['P']}, Python {of['Python']} |"]
    shares = [share for peer in COLUMNS for step in book.get(peer, {}) for share in loads(peer, step)]
    if shares:
        lines.append(f"| noise, in all turns | {cell(shares, 2)} cores |")
    return "\n".join(lines)


def main():
    bodies = {"### Speed": "\n\n".join(filter(None, [table(SPEED), full_floor()])), "### CPU seconds": table(CPU),
              "### Memory and size, MiB": table(MEMORY), "### Writes and calls": table(CALLS),
              "": lookups(), "### Scale: settled objects beside a thousand running ones": scale(), "### Fleets, and the operator alone": facts(FLEETS)}
    parts = [origin(), *(f"{head}\n\n{body}".strip() for head, body in bodies.items() if body)]
    page = PAGE.read_text()
    head, rest = page.split(BEGIN)
    PAGE.write_text(head + BEGIN + "\n" + "\n\n".join(parts) + "\n\n" + END + rest.split(END)[1])


if __name__ == "__main__":
    main()
