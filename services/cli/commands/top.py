"""`exitflow top`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer
from rich.live import Live

from services.cli.support.command_line import AsJson, DataDir, examples
from services.cli.support.connection import Target
from services.cli.support.output import console, show_json
from services.cli.support.process_urls import ProcessOption, process_urls
from services.top.figures import Figures, figures
from services.top.observation import Observer
from services.top.view import render
from shared.clock import SystemClock


def add_to(root: typer.Typer, panel: str) -> None:
    """Add the command to a panel of the help."""
    shown = examples("top", "top --once --json | jq .lag_records", "top --process relay=http://10.0.0.7:8000")
    root.command("top", rich_help_panel=panel, epilog=shown)(top)


def top(
    process: ProcessOption = None,
    every_s: Annotated[float, typer.Option("--every", min=0.1, max=3600, help="Seconds between two looks.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Show the state once and end, for scripts.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Watch ticks, exits, latencies, lag and health live; changes nothing. Ctrl-C ends it.

    Rates are those between two looks, so the first figures appear after `--every` seconds. Without a terminal each look
    is printed below the one before.
    """
    with Observer(Target.choose(data_dir), process_urls(process, data_dir), SystemClock()) as observer:
        found = _looks(observer, every_s)
        if once or as_json:
            _print(found, once=once, as_json=as_json)
        elif console().is_terminal:
            with Live(console=console(), auto_refresh=False, screen=True) as live:
                for each in found:
                    live.update(render(each), refresh=True)
        else:
            _print(found, once=False, as_json=False)


def _looks(observer: Observer, every_s: float) -> Iterator[Figures]:
    before = observer.look()
    while True:
        time.sleep(every_s)
        after = observer.look()
        yield figures(before, after)
        before = after


def _print(found: Iterator[Figures], *, once: bool, as_json: bool) -> None:
    for each in found:
        if as_json:
            show_json(asdict(each))
        else:
            console().print(render(each), end="\n\n")
        if once:
            return
