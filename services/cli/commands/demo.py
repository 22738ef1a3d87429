"""`exitflow demo`."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated

import typer

from deploy.local.kafka.selection import KafkaChoice
from services.cli.support.command_line import AsJson, examples
from services.cli.support.connection import Target
from shared.clock import SystemClock
from shared.runtime.stopping import exit_on_sigterm
from shared.settings import load_settings

DemoDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="Use the stack running here, or start one here and keep its data.",
        show_default="temporary",
    ),
]


def add_to(root: typer.Typer, panel: str) -> None:
    """Add the command to a panel of the help."""
    root.command(
        "demo",
        rich_help_panel=panel,
        epilog=examples("demo", "demo --seed 11 --trades 50 --symbols 5", "demo --kafka tansu"),
    )(demo)


def demo(
    seed: Annotated[int, typer.Option(help="The same seed plays the same market.")] = 7,
    trades: Annotated[int, typer.Option(help="Trades to open.", min=1)] = 200,
    symbols: Annotated[int, typer.Option(help="Symbols they are on.", min=1)] = 20,
    data_dir: DemoDir = None,
    running: Annotated[
        bool, typer.Option("--running", help="Play on the system of the EXITFLOW_ settings; check it yourself.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the temporary data directory.")] = False,
    kafka: Annotated[KafkaChoice, typer.Option(help="As for `exitflow up`.")] = KafkaChoice.AUTO,
    as_json: AsJson = False,
) -> None:
    """Open trades, play a random-walk market with gaps until all have exited, and check the invariants.

    The exit status is 0 only if every trade closed and every invariant holds in both databases, the Kafka log and the
    broker's books.
    """
    exit_on_sigterm()
    # The embedded stack has packages missing where only this command line is installed.
    run = importlib.import_module("services.demo.run")
    options = run.DemoOptions(seed, trades, symbols, data_dir, keep, kafka, as_json)
    if running:
        raise typer.Exit(run.run_demo_on(Target.of_settings(load_settings()), options, SystemClock()))
    raise typer.Exit(run.run_demo(options, SystemClock()))
