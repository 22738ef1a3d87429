"""`python -m bench.relay`: measure, print the tables, write the page, the plot and the figures."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table as Printed

from bench.memory import use_memory_once
from bench.relay import results as kept
from bench.relay.candidate import ROOT, Candidate
from bench.relay.catalogue import SMOKE, catalogue, chosen
from bench.relay.conditions import conditions
from bench.relay.figures import figures_of, yardsticks
from bench.relay.goals import goals
from bench.relay.page import page
from bench.relay.plot import plot
from bench.relay.results import Measured, Results
from bench.relay.run import Plan, Run, in_order
from bench.relay.servers import FULL_COMPILER, running_servers, work_directory
from bench.relay.tables import Table, goal_table, tables
from deploy.local.kafka.apache import QUICK_START
from shared.clock import Clock, SystemClock
from shared.errors import ExitflowError
from shared.runtime.stopping import exit_on_sigterm

OUTPUT = ROOT / "docs" / "benchmarks"
SMOKE_PLAN = Plan(events=3_000, rate_per_s=200, latency_s=1, lead_in_s=0.5, warm_ups=0)
WIDTH = 150
"""Width of a table without a known terminal width."""
progress = Console(stderr=True, highlight=False, soft_wrap=True)


def main(arguments: Sequence[str]) -> int:
    """Run the bench; the exit status is 1 if something could not be measured."""
    options = _parser().parse_args(arguments)
    exit_on_sigterm()
    try:
        candidates = chosen(options.only or (SMOKE if options.smoke else ()))
        output = options.output or (Path(tempfile.mkdtemp(prefix="exitflow-bench-")) if options.smoke else OUTPUT)
        if options.report:
            found = kept.load(output / "relay.json")
        else:
            plan = SMOKE_PLAN if options.smoke else Plan(options.events, options.rounds)
            found = _measure(candidates, plan, arguments, output / "relay.json", SystemClock())
    except ExitflowError as error:
        progress.print(f"bench: {error}", style="red")
        return 2
    _write(found, output)
    return 1 if any(measured.errors for measured in found.measured.values()) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.relay",
        description="Measure outbox relays on one PostgreSQL and one Kafka. It wants a quiet machine: nothing else"
        " should run. The whole takes a quarter of an hour on two cores; progress goes to stderr.",
        epilog="example: python -m bench.relay --only exitflow,debezium-tuned,ceiling-after --events 100000",
    )
    names = ", ".join(candidate.name for candidate in catalogue())
    parser.add_argument("--only", type=_names, metavar="NAME,...", help=f"only these: {names}")
    parser.add_argument("--events", type=int, default=300_000, help="events of a backlog (default: 300000)")
    parser.add_argument("--rounds", type=int, default=1, help="measure all so often and show medians (default: 1)")
    parser.add_argument("--output", type=Path, help="folder for relay.json, relay.md, relay.svg (docs/benchmarks)")
    parser.add_argument("--report", action="store_true", help="measure nothing, write page and plot from relay.json")
    parser.add_argument(
        "--smoke", action="store_true", help="a tiny run, into a temporary folder, to see that it works"
    )
    return parser


def _names(value: str) -> list[str]:
    return [name.strip() for name in value.split(",") if name.strip()]


def _measure(
    candidates: Sequence[Candidate], plan: Plan, arguments: Sequence[str], file: Path, clock: Clock
) -> Results:
    """Measure the candidates, replacing their earlier results and keeping the others'. Saved after each."""
    found = kept.load(file)
    found.run += 1
    fresh = {one.name: Measured(one.name, one.setting, found.run) for one in candidates}
    began = clock.monotonic()
    jvm = QUICK_START if plan is SMOKE_PLAN else FULL_COMPILER
    if plan is not SMOKE_PLAN:
        use_memory_once(progress.print)
    with work_directory() as directory, running_servers(directory, jvm) as servers:
        found.conditions = conditions(arguments, plan, servers)
        run = Run(plan, servers, clock, progress.print)
        run.warm_up()
        for turn in range(plan.rounds):
            for candidate in in_order(candidates, turn):
                run.measure(candidate, fresh[candidate.name], turn)
                found.measured[candidate.name] = fresh[candidate.name]
                kept.save(file, found)
    progress.print(f"measured in {(clock.monotonic() - began) / 60:.1f} min")
    return found


def _write(found: Results, output: Path) -> None:
    figures = figures_of(found)
    against = yardsticks(figures)
    shown = [*tables(figures, against, found.run), goal_table(goals(figures, against))]
    output.mkdir(parents=True, exist_ok=True)
    (output / "relay.md").write_text(page(found, figures, shown))
    (output / "relay.svg").write_text(plot(figures))
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    for table in shown:
        console.print(_printed(table))
    progress.print(f"written: relay.md, relay.svg, relay.json in {output}")


def _printed(table: Table) -> Printed:
    printed = Printed(*table.heads, title=table.title)
    for row in table.rows:
        printed.add_row(*row)
    return printed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
