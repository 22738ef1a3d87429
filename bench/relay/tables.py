"""The figures as tables of text, for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.relay.figures import Figures, Pace, Yardsticks, ratio, short
from bench.relay.goals import Goal

NOTHING = "-"
FAILED = "failed"


@dataclass(frozen=True)
class Table:
    """A title, the heads of its columns, and its cells."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


def tables(figures: Sequence[Figures], against: Yardsticks, last_run: int) -> list[Table]:
    """Format candidates, drain, latency and cost."""
    return [_candidates(figures, last_run), _drain(figures, against), _latency(figures), _cost(figures)]


def goal_table(goals: Sequence[Goal]) -> Table:
    """Format the goals."""
    words = {None: "not measured", True: "met", False: "missed"}
    rows = [[g.text, f"{'≥' if g.at_least else '≤'} {g.bound:g}", _number(g.measured), words[g.met]] for g in goals]
    return Table("Goals", ["goal", "bound", "measured", ""], rows)


def _candidates(figures: Sequence[Figures], last_run: int) -> Table:
    rows = [[one.name + ("" if one.run == last_run else " †"), one.setting, _count(one.events)] for one in figures]
    return Table("Candidates", ["candidate", "setting", "backlog, events"], rows)


def _drain(figures: Sequence[Figures], against: Yardsticks) -> Table:
    heads = [
        *("candidate", "events/s", "times Debezium tuned", "times poller", "of ceiling", "start-up included, events/s"),
        *("first record after, s", "old transaction open, events/s", "of without", "every event once, in order"),
    ]
    return Table("Drain", heads, [_drain_row(one, against) for one in figures])


def _drain_row(one: Figures, against: Yardsticks) -> list[str]:
    steady = one.steady_per_s
    return [
        one.name,
        _rate(steady, cut=one.cut) if steady is not None else FAILED,
        _number(ratio(steady, against.debezium_per_s)),
        _number(ratio(steady, against.poller_per_s)),
        _number(ratio(steady, against.ceiling_per_s)),
        _rate(one.whole_per_s),
        _number(one.first_s),
        _rate(one.held_per_s, cut=one.held_cut),
        _number(ratio(one.held_per_s, steady)),
        NOTHING if one.faults is None else one.faults or "yes",
    ]


def _latency(figures: Sequence[Figures]) -> Table:
    heads = ["candidate", "1,000/s: p50 / p99, ms", "half of its drain rate, events/s", "p50 / p99, ms"]
    rows = [
        [one.name, _pace(one.at_rate), _rate(one.at_half.rate_per_s if one.at_half else None), _pace(one.at_half)]
        for one in figures
        if one.wal_bytes is not None or one.at_rate is not None or one.errors
    ]
    return Table("Commit to readable", heads, rows)


def _cost(figures: Sequence[Figures]) -> Table:
    heads = [
        "candidate",
        "CPU s per 100,000 events: relay",
        "PostgreSQL",
        "Kafka",
        "relay's memory, MiB",
        "WAL B/event",
    ]
    rows = [
        [
            one.name,
            *(_number(one.cpu.get(name)) for name in ("relay", "postgres", "kafka")),
            _count(None if one.peak_bytes is None else round(one.peak_bytes / 2**20)),
            _number(one.wal_bytes),
        ]
        for one in figures
    ]
    return Table("Cost of a drain", heads, rows)


def _pace(pace: Pace | None) -> str:
    if pace is None:
        return NOTHING
    return f"{_number(pace.p50_ms)} / {_number(pace.p99_ms)}{' (behind)' if pace.behind else ''}"


def _rate(value: float | None, *, cut: bool = False) -> str:
    return NOTHING if value is None else f"{short(value)}{' (cut)' if cut else ''}"


def _count(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.0f}"


def _number(value: float | None) -> str:
    return NOTHING if value is None else short(value)
