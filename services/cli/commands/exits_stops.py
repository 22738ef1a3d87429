"""`exitflow exits`: stops, nearest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli.support.apis import exit_api
from services.cli.support.command_line import AsJson, DataDir, examples
from services.cli.support.exit_filters import Broker, OrderId, Symbol
from services.cli.support.output import show_json, show_table
from shared.contracts.vocabulary import ProtectiveStopStatus

_STOP_COLUMNS = (
    "stop_id",
    "trade_id",
    "symbol",
    "user_broker_id",
    "status",
    "quantity",
    "trigger_price",
    "broker_order_id",
    "error_code",
    "error_message",
    "end_reason",
)
_MISSING_COLUMNS = ("trade_id", "symbol", "user_broker_id", "open_quantity", "status", "error_code", "error_message")
_NEAREST_COLUMNS = ("trade_id", "symbol", "direction", "user_broker_id", "stop_loss", "last_price", "distance")


def add_to(group: typer.Typer) -> None:
    """Add the commands to the group `exits`."""
    group.command(
        "stops", epilog=examples("exits stops", "exits stops --missing", "exits stops --trade 019abc… --all --json")
    )(stops)
    group.command("nearest", epilog=examples("exits nearest", "exits nearest --broker zerodha-1 --limit 5 --json"))(
        nearest
    )


def stops(
    trade: Annotated[str | None, typer.Option(help="Only of this trade.", metavar="TRADE_ID")] = None,
    symbol: Symbol = None,
    broker: Broker = None,
    status: Annotated[
        ProtectiveStopStatus | None, typer.Option(help="Only with this status.", case_sensitive=False)
    ] = None,
    missing: Annotated[
        bool,
        typer.Option("--missing", help="List trades without the stop of their plan."),
    ] = False,
    order_id: OrderId = None,
    every: Annotated[bool, typer.Option("--all", help="Ended ones too, as with a status or an order.")] = False,
    limit: Annotated[int, typer.Option(help="Stops at most.", min=1)] = 100,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List the protective stops at brokers, newest first, each with its cause of waiting."""
    wanted = {"trade_ids": trade, "symbol": symbol, "user_broker_id": broker, "status": status, "order_id": order_id}
    if missing:
        if every or any(value is not None for value in wanted.values()):
            raise typer.BadParameter("--missing takes no filter")
        _missing_stops(limit, data_dir, as_json)
        return
    with exit_api(data_dir) as api:
        found = list(api.items("/protective-stops", limit, standing=not (every or status or order_id), **wanted))
    if as_json:
        show_json(found)
    else:
        show_table(_STOP_COLUMNS, ([stop.get(column) for column in _STOP_COLUMNS] for stop in found))


def nearest(
    symbol: Symbol = None,
    broker: Broker = None,
    limit: Annotated[int, typer.Option(help="Trades at most.", min=1, max=100)] = 25,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List open trades by the distance of the last price to their stop loss; trailing stops are not among them."""
    with exit_api(data_dir) as api:
        found = api.get("/exits/nearest", symbol=symbol, user_broker_id=broker, limit=limit)["items"]
    if as_json:
        show_json(found)
    else:
        show_table(_NEAREST_COLUMNS, ([trade[column] for column in _NEAREST_COLUMNS] for trade in found))


def _missing_stops(limit: int, data_dir: Path | None, as_json: bool) -> None:
    with exit_api(data_dir) as api:
        found = list(api.items("/protective-stops/missing", limit))
    if as_json:
        show_json(found)
        return
    rows = ({**(trade["stop"] or {"status": "none"}), **trade} for trade in found)
    show_table(_MISSING_COLUMNS, ([row.get(column) for column in _MISSING_COLUMNS] for row in rows))
