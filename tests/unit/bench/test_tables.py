"""The tables and the plot show measured figures, and name missing ones."""

from __future__ import annotations

from bench.relay.drain import Drain, steady_rate
from bench.relay.figures import figures_of, yardsticks
from bench.relay.goals import goals
from bench.relay.page import page
from bench.relay.plot import plot
from bench.relay.results import Measured, Results
from bench.relay.tables import tables


def _drain(steady_per_s: float, **changed: object) -> Drain:
    fields: dict[str, object] = {
        "events": 1_000, "published": 1_000, "steady_per_s": steady_per_s, "whole_per_s": steady_per_s / 2,
        "first_s": 1.0, "cut": False, "lost": 0, "duplicates": 0, "disorder": 0, "foreign": 0, "headers": 9.0,
        "cpu": {"relay": 1.0, "postgres": 0.5, "kafka": 2.0}, "peak_bytes": 2**26, "wal_bytes": 1.0,
    }  # fmt: skip
    return Drain(**{**fields, **changed})  # type: ignore[arg-type]  # put together from names


def _results() -> Results:
    measured = [
        Measured("exitflow", "one process", 1, drain=[_drain(90_000)], held=[_drain(80_000)]),
        Measured("poller", "one copy", 1, drain=[_drain(20_000, disorder=7)]),
        Measured("debezium-tuned", "tuned", 1, errors=["drain: Unavailable: the relay ended with status 1"]),
    ]
    return Results(run=1, measured={one.name: one for one in measured})


def test_failed_candidate_appears_in_table_with_its_error() -> None:
    found = _results()
    figures = figures_of(found)
    shown = tables(figures, yardsticks(figures), last_run=1)
    (drain,) = (table for table in shown if table.title == "Drain")
    assert ["debezium-tuned", "failed"] in [list(row[:2]) for row in drain.rows]
    assert "the relay ended with status 1" in page(found, figures, shown)
    assert "failed" in plot(figures)


def test_rates_are_shown_as_multiples_of_the_others() -> None:
    figures = figures_of(_results())
    drain = next(table for table in tables(figures, yardsticks(figures), 1) if table.title == "Drain")
    (ours,) = (row for row in drain.rows if row[0] == "exitflow")
    assert dict(zip(drain.heads, ours, strict=True))["times poller"] == "4.5"


def test_disorder_stands_in_the_table() -> None:
    figures = figures_of(_results())
    drain = next(table for table in tables(figures, yardsticks(figures), 1) if table.title == "Drain")
    assert {row[0]: row[-1] for row in drain.rows} == {
        "exitflow": "yes", "poller": "7 out of order", "debezium-tuned": "-"
    }  # fmt: skip


def test_a_goal_is_met_missed_or_not_measured() -> None:
    figures = figures_of(_results())
    met = {goal.text: goal.met for goal in goals(figures, yardsticks(figures))}
    assert met["drain, one process, as a multiple of the poller"] is False
    assert met["drain, one process, as a multiple of Debezium tuned"] is None
    assert met["faults in the topics (0 = every event once and in order)"] is True


def test_the_rate_is_that_between_half_and_nineteen_twentieths() -> None:
    slow_start = [float(n) for n in range(50)] + [50 + n / 100 for n in range(50)]
    assert round(steady_rate(slow_start)) == 100
