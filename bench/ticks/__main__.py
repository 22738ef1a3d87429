"""`python -m bench.ticks`: measure the tick worker beside other ways to do its parts; write the page."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from bench.conditions import machine
from bench.memory import use_memory_once
from bench.relay.conditions import conditions
from bench.relay.run import Plan as RelayPlan
from bench.relay.servers import running_servers, work_directory
from bench.ticks.burst import measure_bursts
from bench.ticks.evaluation import measure_evaluation
from bench.ticks.kafka_path import drain_bare, drain_worker, fill_topic, measure_start
from bench.ticks.latency import measure_echo, measure_latency
from bench.ticks.market import Mood, steps
from bench.ticks.nautilus import MOST_TRADES, nautilus_us
from bench.ticks.page import Part, Row, page
from bench.ticks.place import ROOT, Places, fill_book
from bench.ticks.plot import plot
from deploy.local.kafka.apache import QUICK_START
from shared.clock import Clock, SystemClock
from shared.errors import ExitflowError
from shared.runtime.stopping import exit_on_sigterm

T = TypeVar("T")

OUTPUT = ROOT / "docs" / "benchmarks"
CONDITIONS = ("memory", "PostgreSQL", "Kafka", "Java", "Python")
progress = Console(stderr=True, highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Plan:
    """Sizes: trades, ticks in the topic, exits of a burst, ticks a second and probes for latency."""

    trades: tuple[int, ...]
    ticks: int
    burst: int
    per_s: float
    probes: int
    moods: tuple[Mood, ...] = tuple(Mood)
    parts: tuple[Part, ...] = tuple(Part)


SMOKE = Plan((1_000,), 3_000, 20, 500, 10, moods=(Mood.VOLATILE,))
SHORT = Plan((1_000, 100_000), 600_000, 10_000, 20_000, 300)
LONG = Plan((1_000, 100_000, 1_000_000), 1_000_000, 10_000, 20_000, 300)


def main(arguments: Sequence[str]) -> int:
    """Run the bench; the exit status is 2 if something could not be measured."""
    options = _parser().parse_args(arguments)
    exit_on_sigterm()
    plan = _plan(options)
    is_whole = not (options.smoke or options.only or options.trades or options.mood)
    output = options.output or (OUTPUT if is_whole else Path(tempfile.mkdtemp(prefix="exitflow-bench-")))
    rows: list[Row] = []
    found = machine()
    if not options.smoke:
        use_memory_once(progress.print)
    try:
        if Part.ALONE in plan.parts:
            _measure_alone(plan, rows)
        if plan.parts != (Part.ALONE,):
            with work_directory() as directory, running_servers(directory, QUICK_START) as servers:
                _measure_whole(plan, Places(servers), SystemClock(), rows)
                known = conditions(arguments, RelayPlan(plan.ticks), servers)
                found |= {name: known[name] for name in CONDITIONS}
    except ExitflowError as error:
        progress.print(f"bench: {error}", style="red")
        return 2
    output.mkdir(parents=True, exist_ok=True)
    (output / "ticks.md").write_text(page(rows, found, arguments))
    (output / "ticks.svg").write_text(plot(rows))
    progress.print(f"written: {output / 'ticks.md'}")
    return 0


def _plan(options: argparse.Namespace) -> Plan:
    plan = SMOKE if options.smoke else LONG if options.long else SHORT
    return replace(
        plan,
        trades=options.trades or plan.trades,
        moods=options.mood or plan.moods,
        parts=options.only or plan.parts,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.ticks",
        description="Measure the tick worker on one PostgreSQL and one Kafka. It wants a quiet machine: nothing else"
        " should run. Progress goes to stderr.",
        epilog="example: python -m bench.ticks --only burst,latency",
    )
    parser.add_argument("--long", action="store_true", help="a million open trades too, and a million ticks")
    parser.add_argument(
        "--only", type=_list_of(Part), metavar="PART,...", help=f"some of {', '.join(Part)}; into a temporary folder"
    )
    parser.add_argument("--mood", type=_list_of(Mood), metavar="MOOD,...", help=f"some of {', '.join(Mood)}")
    parser.add_argument("--trades", type=_list_of(int), metavar="N,...", help="other numbers of open trades")
    parser.add_argument("--output", type=Path, help="folder for ticks.md and ticks.svg (docs/benchmarks)")
    parser.add_argument(
        "--smoke", action="store_true", help="a tiny run, into a temporary folder, to see that it works"
    )
    return parser


def _list_of(kind: Callable[[str], T]) -> Callable[[str], tuple[T, ...]]:
    def items(text: str) -> tuple[T, ...]:
        return tuple(kind(item) for item in text.split(","))

    return items


def _measure_alone(plan: Plan, rows: list[Row]) -> None:
    for mood in plan.moods:
        ticks = list(steps(min(plan.ticks, 200_000), mood))
        for trades in plan.trades:
            alone = measure_evaluation(trades, mood, ticks)
            _add(rows, Part.ALONE, f"evaluation alone, {mood}", trades, cpu_us=alone.engine_us, load_us=alone.load_us)
            _add(rows, Part.ALONE, f"naive loop, {mood}", trades, cpu_us=alone.naive_us)
            if mood is Mood.QUIET and trades <= MOST_TRADES:
                _add(rows, Part.ALONE, f"nautilus_trader, {mood}", trades, cpu_us=nautilus_us(trades, ticks))


def _measure_whole(plan: Plan, places: Places, clock: Clock, rows: list[Row]) -> None:
    if Part.DRAIN in plan.parts:
        for mood in plan.moods:
            for trades in plan.trades:
                _measure_drain(plan, trades, mood, places, clock, rows)
    if Part.START in plan.parts:
        for mood in plan.moods:
            with places.fresh() as place:
                fill_book(place, trades := max(plan.trades), mood)
                _add(rows, Part.START, f"start, {mood}", trades, **measure_start(place, trades, clock).figures)
    if Part.BURST in plan.parts:
        with places.fresh() as place:
            for number, burst in enumerate(measure_bursts(place, plan.burst, clock), 1):
                _add(rows, Part.BURST, f"burst {number}", burst.exits, **burst.figures)
    if Part.LATENCY in plan.parts:
        for what, measure in (("echo, no database", measure_echo), ("tick to readable intent", measure_latency)):
            with places.fresh() as place:
                found = measure(place, plan.per_s, plan.probes, clock)
                _add(rows, Part.LATENCY, what, plan.probes, **found.figures)


def _measure_drain(plan: Plan, trades: int, mood: Mood, places: Places, clock: Clock, rows: list[Row]) -> None:
    with places.fresh() as place:
        fill_book(place, trades, mood)
        ticks = fill_topic(place, steps(plan.ticks, mood))
        bare = drain_bare(place, ticks)
        _add(rows, Part.DRAIN, f"bare consume loop, {mood}", trades, per_s=bare.per_s, cpu_us=bare.cpu_us)
        worker = drain_worker(place, ticks, clock)
        _add(rows, Part.DRAIN, f"worker, {mood}", trades, **worker.figures, of_bare=worker.per_s / bare.per_s)


def _add(rows: list[Row], part: Part, what: str, trades: int, **figures: float) -> None:
    rows.append(Row(part, what, trades, figures))
    shown = ", ".join(f"{name} {value:,.2f}" for name, value in figures.items())
    progress.print(f"{what}, {trades:,} trades: {shown}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
