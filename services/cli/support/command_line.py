"""Common parts of all commands: groups, examples and shared options."""

from __future__ import annotations

from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from shared.clock import SystemClock, trading_day
from shared.version import VERSION

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="Data directory of a local stack; its stack.json says where to connect. "
        "Otherwise the EXITFLOW_ settings do, or the default directory's stack if none of them is set.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
IdempotencyKey = Annotated[
    str | None,
    typer.Option("--key", help="Idempotency-Key to send; a new one by default. Repeat it to retry safely."),
]

ReasonUnlessDryRun = Annotated[str | None, typer.Option("--reason", help="Why; audited. Needed unless --dry-run.")]


def needed_reason(reason: str | None) -> str:
    """Return the reason given for a change.

    Raises
    ------
    typer.BadParameter
        None was given.
    """
    if not reason:
        raise typer.BadParameter("pass --reason; it is stored in the audit log")
    return reason


def _day(text: str) -> date:
    """Return the day of a word or a date, in Asia/Kolkata."""
    today = trading_day(SystemClock().now())
    words = {"today": today, "yesterday": today - timedelta(days=1)}
    try:
        return words.get(text.lower()) or date.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is neither today, yesterday nor a date as 2026-01-13") from error


def day_option(meaning: str) -> Any:
    """Return an option for a trading day: today, yesterday or a date."""
    return typer.Option(help=f"{meaning}: today, yesterday or a date.", parser=_day, metavar="DAY")


class Panel(StrEnum):
    """The panels of `exitflow --help`, in its order."""

    TRADE = "Trade"
    OPERATE = "Operate"
    INSTALL = "Install"
    INTERNAL = "Internal"


def _print_version(asked: bool) -> None:
    if asked:
        print(f"exitflow {VERSION}")
        raise typer.Exit


def show_version(
    version_asked: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Exit open trades through PostgreSQL and Kafka."""


def new_app(help_text: str, cls: type[TyperGroup] = TyperGroup, *, completion: bool = False) -> typer.Typer:
    """Create a command group; called without a command, it shows its help.

    `completion` adds the options for installing completion in a shell.
    """
    return typer.Typer(
        cls=cls,
        help=help_text,
        no_args_is_help=True,
        add_completion=completion,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        rich_markup_mode="rich",
    )


def examples(*lines: str) -> str:
    """Format examples for the end of a command's help."""
    return "\n\n".join(["[bold]Examples[/bold]", *(f"$ exitflow {line}" for line in lines)])
