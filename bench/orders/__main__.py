"""`python -m bench.orders`: measure exits, closures and openings on a local stack; print the table, write the page."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from bench.conditions import machine
from bench.memory import use_memory_once
from bench.orders.results import markdown, page
from bench.orders.run import PARTS, SMOKE, Plan, figures
from bench.orders.system import running_system
from shared.errors import ExitflowError
from shared.runtime.stopping import exit_on_sigterm
from shared.settings import PREFIX, Execution

PAGES = Path(__file__).parents[2] / "docs" / "benchmarks"
PAGE = "orders.md"
progress = Console(stderr=True, highlight=False, soft_wrap=True)


def main(arguments: Sequence[str]) -> int:
    """Run the bench; the exit status is 2 if something could not be measured."""
    options = _parser().parse_args(arguments)
    exit_on_sigterm()
    plan = SMOKE if options.smoke else _plan(options)
    output = options.output or (None if options.smoke or options.only else PAGES)
    os.environ[f"{PREFIX}EXECUTION"] = options.execution.value  # of every process of the stack
    conditions = {"execution": options.execution.value, **machine()}
    if not options.smoke:
        use_memory_once(progress.print)
    try:
        with running_system(plan.accounts, options.execution, progress.print) as system:
            found, complete = figures(system, plan, tuple(options.only or PARTS), progress.print)
    except ExitflowError as error:
        progress.print(f"bench: {error}", style="red")
        return 2
    if output:
        output.mkdir(parents=True, exist_ok=True)
        (output / PAGE).write_text(page(found, conditions, plan.accounts, arguments))
        progress.print(f"written: {output / PAGE}")
    Console(soft_wrap=True, highlight=False).print(markdown(found), markup=False)
    return 0 if complete else 2


def _plan(options: argparse.Namespace) -> Plan:
    return replace(
        Plan(),
        accounts=options.accounts,
        rate_per_s=options.rate,
        steady=options.exits,
        burst=options.burst,
        openings=options.openings,
        closes=options.closes,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.orders",
        description="Measure, from outside on a temporary local stack: POST /trades, the time from a tick to the closed"
        " trade beside a bare chain of its steps, a burst of exits, closures of trade-fills, and what an idle stack"
        " costs. Progress goes to stderr.",
        epilog="example: python -m bench.orders --only steady --rate 10",
    )
    parser.add_argument("--only", type=_parts, metavar="PART,...", help=f"only these: {', '.join(PARTS)}")
    parser.add_argument("--rate", type=float, default=Plan.rate_per_s, help="exits a second (default: 20)")
    parser.add_argument("--exits", type=int, default=Plan.steady, help="exits at that rate (default: 400)")
    parser.add_argument("--openings", type=int, default=Plan.openings, help="requests of POST /trades (default: 4000)")
    parser.add_argument("--closes", type=int, default=Plan.closes, help="closures of trade-fills (default: 10000)")
    parser.add_argument("--burst", type=int, default=Plan.burst, help="exits of one tick (default: 1000)")
    parser.add_argument("--accounts", type=int, default=Plan.accounts, help="accounts at the broker (default: 100)")
    parser.add_argument(
        "--execution",
        type=Execution,
        choices=list(Execution),
        default=Execution.EXIT_QUALIFICATION,
        help="who decides when an exit is sent (default: exit_qualification)",
    )
    parser.add_argument("--output", type=Path, help="folder for orders.md (docs/benchmarks for a whole run)")
    parser.add_argument("--smoke", action="store_true", help="a tiny run, to see that it works")
    return parser


def _parts(value: str) -> list[str]:
    names = [name.strip() for name in value.split(",") if name.strip()]
    unknown = sorted(set(names) - set(PARTS))
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    return names


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
