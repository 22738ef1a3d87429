"""`exitflow audit`."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from heapq import merge
from itertools import islice
from operator import itemgetter
from typing import Annotated, Any

import typer

from services.cli.support.api_client import ApiClient
from services.cli.support.command_line import AsJson, DataDir, day_option, examples
from services.cli.support.connection import Target
from services.cli.support.output import show_json, show_table

_COLUMNS = ("at", "service", "actor", "action", "subject", "reason")


class Service(StrEnum):
    """API with an audit log."""

    EXIT = "exit"
    TRADE = "trade"


def add_to(root: typer.Typer, panel: str) -> None:
    """Add the command to a panel of the help."""
    shown = examples("audit", "audit --actor chief --day today", "audit --service exit --limit 20 --json")
    root.command("audit", rich_help_panel=panel, epilog=shown)(audit)


def audit(
    service: Annotated[Service | None, typer.Option(help="Only of this API; of both by default.")] = None,
    actor: Annotated[str | None, typer.Option(help="Only acts of the token of this name.")] = None,
    day: Annotated[date | None, day_option("Only of this day")] = None,
    limit: Annotated[int, typer.Option(help="Most entries to show.", min=1)] = 50,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List acts of operators with their reasons, newest first. JSON has the state before and after, too."""
    target = Target.choose(data_dir)
    roots = {Service.EXIT: target.exit_api, Service.TRADE: target.trade_api}
    asked = {each: root for each, root in roots.items() if service in (None, each)}
    logs = [_log(each, root, target.token, limit, actor=actor, day=day) for each, root in asked.items()]
    found = list(islice(merge(*logs, key=itemgetter("at"), reverse=True), limit))
    if as_json:
        show_json(found)
    else:
        show_table(_COLUMNS, ([each[column] for column in _COLUMNS] for each in found))


def _log(service: Service, root: str, token: str | None, limit: int, **wanted: Any) -> list[dict[str, Any]]:
    """Return the newest matching entries of one API."""
    with ApiClient(root, token) as api:
        return [{"service": service.value, **entry} for entry in api.items("/audit", limit, **wanted)]
