"""`exitflow audit`."""

from __future__ import annotations

from enum import StrEnum
from heapq import merge
from itertools import islice
from operator import itemgetter
from typing import Annotated, Any

import typer

from services.cli.support.api_client import ApiClient
from services.cli.support.command_line import AsJson, DataDir, examples
from services.cli.support.connection import Target
from services.cli.support.output import show_json, show_table

_COLUMNS = ("at", "service", "actor", "action", "subject", "reason")


class Service(StrEnum):
    """API that keeps an audit log."""

    EXIT = "exit"
    TRADE = "trade"


def add_to(root: typer.Typer, panel: str) -> None:
    """Add the command to a panel of the help."""
    root.command(
        "audit", rich_help_panel=panel, epilog=examples("audit", "audit --service exit --actor chief --limit 20 --json")
    )(audit)


def audit(
    service: Annotated[Service | None, typer.Option(help="Only of this API; of both by default.")] = None,
    actor: Annotated[str | None, typer.Option(help="Only what the token of this name did.")] = None,
    limit: Annotated[int, typer.Option(help="Most entries to show.", min=1)] = 50,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List what operators did and why, newest first. JSON has the state before and after, too."""
    target = Target.choose(data_dir)
    roots = {Service.EXIT: target.exit_api, Service.TRADE: target.trade_api}
    logs = [_log(each, root, target.token, actor, limit) for each, root in roots.items() if service in (None, each)]
    found = list(islice(merge(*logs, key=itemgetter("at"), reverse=True), limit))
    if as_json:
        show_json(found)
    else:
        show_table(_COLUMNS, ([each[column] for column in _COLUMNS] for each in found))


def _log(service: Service, root: str, token: str | None, actor: str | None, limit: int) -> list[dict[str, Any]]:
    """Return the newest entries of one API, by one actor if given."""
    with ApiClient(root, token) as api:
        entries = ({"service": service.value, **entry} for entry in api.items("/audit"))
        return list(islice((entry for entry in entries if actor in (None, entry["actor"])), limit))
