"""`exitflow exits`: pending, list, stops, nearest, show, why, force, resolve, withdraw, kill-switch, rollout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli.commands import exits_why
from services.cli.support.api_client import ApiClient, Json, path_of
from services.cli.support.command_line import AsJson, DataDir, IdempotencyKey, examples, new_app
from services.cli.support.connection import Target
from services.cli.support.output import show_facts, show_json, show_table
from shared.contracts.vocabulary import (
    ExitReason,
    IntentStatus,
    KillSwitchMode,
    ProductType,
    ProtectiveStopStatus,
    RolloutMode,
)

app = new_app("Look at exits, force them, hold them back.")
exits_why.add_to(app)

_COLUMNS = (
    "intent_id",
    "trade_id",
    "symbol",
    "exit_reason",
    "status",
    "quantity",
    "filled_quantity",
    "created_at",
    "waits_for",
)
_BULK_COLUMNS = (
    "trade_id",
    "symbol",
    "direction",
    "product_type",
    "user_broker_id",
    "quantity",
    "skipped",
    "intent_id",
)
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
_GATE_COLUMNS = ("gate", "verdict", "detail")

Symbol = Annotated[str | None, typer.Option(help="Only on this symbol.")]
Broker = Annotated[str | None, typer.Option(help="Only at this user broker.")]
Status = Annotated[IntentStatus | None, typer.Option(help="Only with this status.", case_sensitive=False)]
Reason = Annotated[ExitReason | None, typer.Option(help="Only for this reason.", case_sensitive=False)]
OrderId = Annotated[str | None, typer.Option(help="Only this order: the broker's id of it, or its tag.")]
Limit = Annotated[int, typer.Option(help="Exits at most.", min=1)]


def add_to(root: typer.Typer, panel: str) -> None:
    """Add the group `exits` to a panel of the help."""
    root.add_typer(app, name="exits", rich_help_panel=panel)


def exit_api(data_dir: Path | None) -> ApiClient:
    """Return a client of the configured exit-api."""
    target = Target.choose(data_dir)
    return ApiClient(target.exit_api, target.token)


@app.command(
    "pending",
    epilog=examples(
        "exits pending",
        "exits pending --count",
        "exits pending --symbol NSE:INFY --older-than 60 --json",
    ),
)
def pending(
    symbol: Symbol = None,
    broker: Broker = None,
    status: Status = None,
    reason: Reason = None,
    older_than: Annotated[float | None, typer.Option(help="Only of at least this age in seconds.", min=0)] = None,
    count: Annotated[bool, typer.Option("--count", help="Count them by status, whatever --status says.")] = False,
    limit: Limit = 100,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List undecided exits, oldest first."""
    wanted = {
        "symbol": symbol,
        "user_broker_id": broker,
        "status": status,
        "exit_reason": reason,
        "older_than_s": older_than,
    }
    if count:
        _count(data_dir, as_json, wanted)
    else:
        _list("/exits/pending", data_dir, as_json, limit, **wanted)


@app.command(
    "list",
    epilog=examples(
        "exits list --status FAILED --newest",
        "exits list --order-id 240113000001",
        "exits list --trade 019abc… --json",
    ),
)
def list_exits(
    trade: Annotated[str | None, typer.Option(help="Only of this trade.", metavar="TRADE_ID")] = None,
    symbol: Symbol = None,
    broker: Broker = None,
    status: Status = None,
    reason: Reason = None,
    order_id: OrderId = None,
    newest: Annotated[bool, typer.Option("--newest", help="Newest first.")] = False,
    limit: Limit = 50,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List exits of every status, oldest first."""
    _list(
        "/exits",
        data_dir,
        as_json,
        limit,
        trade_id=trade,
        symbol=symbol,
        user_broker_id=broker,
        status=status,
        exit_reason=reason,
        order_id=order_id,
        order="newest" if newest else None,
    )


@app.command(
    "stops", epilog=examples("exits stops", "exits stops --missing", "exits stops --trade 019abc… --all --json")
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
    every: Annotated[bool, typer.Option("--all", help="Ended ones too, as with a status.")] = False,
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
        found = list(api.items("/protective-stops", limit, standing=not every and status is None, **wanted))
    if as_json:
        show_json(found)
    else:
        show_table(_STOP_COLUMNS, ([stop.get(column) for column in _STOP_COLUMNS] for stop in found))


@app.command("nearest", epilog=examples("exits nearest", "exits nearest --broker zerodha-1 --limit 5 --json"))
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


@app.command("show", epilog=examples("exits show 019abc…"))
def show(
    intent_id: Annotated[str, typer.Argument(help="The intent's id.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show one exit with the verdict of every gate."""
    with exit_api(data_dir) as api:
        _show_intent(api.get(path_of("/exits/{}", intent_id)), as_json)


@app.command(
    "force",
    epilog=examples(
        'exits force 019abc… --reason-note "results tomorrow"',
        "exits force 019abc… --record-only",
        'exits force --symbol NSE:INFY --product MIS --reason-note "halted" --dry-run',
    ),
)
def force(
    trade_id: Annotated[str | None, typer.Argument(help="The trade to exit now; or name a filter.")] = None,
    note: Annotated[
        str, typer.Option("--reason-note", "--note", help="Why; kept with the exit.")
    ] = "forced from the command line",
    symbol: Annotated[str | None, typer.Option(help="Every open trade on this symbol.")] = None,
    product: Annotated[
        ProductType | None, typer.Option(help="Every open trade of this product.", case_sensitive=False)
    ] = None,
    user_broker: Annotated[str | None, typer.Option(help="Every open trade at this user broker.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With a filter: only list the effects.")] = False,
    record_only: Annotated[
        bool, typer.Option("--record-only", help="Where the rollout executes nothing: write and publish it only.")
    ] = False,
    key: IdempotencyKey = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Exit a trade at the market, now, by hand; or every open trade matching a filter."""
    given = {"symbol": symbol, "product_type": product, "user_broker_id": user_broker}
    conditions = {name: str(value) for name, value in given.items() if value is not None}
    if (trade_id is None) != bool(conditions):
        raise typer.BadParameter("name either a trade or a filter: --symbol, --product, --user-broker")
    if trade_id is None:
        if record_only:
            raise typer.BadParameter("--record-only needs a trade")
        _force_many({**conditions, "reason_note": note, "dry_run": dry_run}, key, data_dir, as_json)
        return
    if dry_run:
        raise typer.BadParameter("--dry-run needs a filter")
    body: Json = {"trade_id": trade_id, "reason_note": note}
    if record_only:
        body["record_only"] = True
    with exit_api(data_dir) as api:
        _show_intent(api.post("/exits", body, key), as_json)


@app.command(
    "resolve",
    epilog=examples(
        'exits resolve 019abc… filled --order 260113000001 --fill T1:10:1010.50:2026-01-13T04:00:05Z --reason "note"',
        'exits resolve 019abc… not_placed --reason "the broker confirmed it by phone"',
    ),
)
def resolve(
    intent_id: Annotated[str, typer.Argument(help="The exit to decide.")],
    resolution: Annotated[str, typer.Argument(help="filled, failed or not_placed.")],
    reason: Annotated[str, typer.Option(help="Why; audited.")],
    order: Annotated[str | None, typer.Option(help="The broker's id of the order, if not known yet.")] = None,
    fill: Annotated[
        list[str] | None, typer.Option(help="A fill as TRADE_ID:QUANTITY:PRICE:TIME, TIME in RFC 3339; repeatable.")
    ] = None,
    key: IdempotencyKey = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Decide an exit when its broker can no longer be asked."""
    body: Json = {"resolution": resolution, "reason": reason, "fills": [_fill(text) for text in fill or []]}
    if order is not None:
        body["broker_order_id"] = order
    with exit_api(data_dir) as api:
        _show_intent(api.post(path_of("/exits/{}/resolve", intent_id), body, key), as_json)


@app.command("withdraw", epilog=examples('exits withdraw 019abc… --reason "wrong trade"'))
def withdraw(
    intent_id: Annotated[str, typer.Argument(help="The exit to cancel; it must not have been sent.")],
    reason: Annotated[str, typer.Option(help="Why; audited.")],
    key: IdempotencyKey = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Cancel an unsent exit."""
    with exit_api(data_dir) as api:
        _show_intent(api.post(path_of("/exits/{}/withdraw", intent_id), {"reason": reason}, key), as_json)


@app.command("kill-switch", epilog=examples("exits kill-switch", 'exits kill-switch ALL --reason "broker incident"'))
def kill_switch(
    mode: Annotated[
        KillSwitchMode | None, typer.Argument(help="Set it; shown if left out.", case_sensitive=False)
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why; audited. Needed to set it.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show or set the kill switch. Only ALL holds back exits, and never one forced by hand."""
    body = None if mode is None else {"mode": mode.value, "reason": _needed(reason)}
    _switch("/kill-switch", body, data_dir, as_json)


@app.command(
    "rollout",
    epilog=examples(
        "exits rollout",
        'exits rollout limited --symbol NSE:INFY --symbol NSE:SBIN --reason "first week"',
        'exits rollout full --reason "first week went well"',
    ),
)
def rollout(
    mode: Annotated[RolloutMode | None, typer.Argument(help="Set it; shown if left out.", case_sensitive=False)] = None,
    symbol: Annotated[list[str] | None, typer.Option(help="limited: a symbol to execute; repeatable.")] = None,
    broker: Annotated[list[str] | None, typer.Option(help="limited: a user broker to execute at; repeatable.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why; audited. Needed to set it.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show or set how far the exit pipeline is switched on."""
    lists = {"symbols": symbol or [], "user_broker_ids": broker or []}
    body = None if mode is None else {"mode": mode.value, **lists, "reason": _needed(reason)}
    _switch("/rollout", body, data_dir, as_json)


def _force_many(body: Json, key: str | None, data_dir: Path | None, as_json: bool) -> None:
    with exit_api(data_dir) as api:
        answer = api.post("/exits/bulk", body, key)
    if as_json:
        show_json(answer)
        return
    title = f"{answer['exits']} exits{' would be made' if answer['dry_run'] else ''}, {len(answer['items'])} trades"
    rows = ([item.get(column) for column in _BULK_COLUMNS] for item in answer["items"])
    show_table(_BULK_COLUMNS, rows, title=title)


def _fill(text: str) -> Json:
    parts = text.split(":", 3)
    if len(parts) != 4 or not parts[1].isdigit():
        raise typer.BadParameter(f"{text!r} is not TRADE_ID:QUANTITY:PRICE:TIME")
    trade_id, quantity, price, filled_at = parts
    return {"broker_trade_id": trade_id, "quantity": int(quantity), "price": price, "filled_at": filled_at}


def _missing_stops(limit: int, data_dir: Path | None, as_json: bool) -> None:
    with exit_api(data_dir) as api:
        found = list(api.items("/protective-stops/missing", limit))
    if as_json:
        show_json(found)
        return
    rows = ({**(trade["stop"] or {"status": "none"}), **trade} for trade in found)
    show_table(_MISSING_COLUMNS, ([row.get(column) for column in _MISSING_COLUMNS] for row in rows))


def _list(path: str, data_dir: Path | None, as_json: bool, limit: int, **query: Any) -> None:
    with exit_api(data_dir) as api:
        exits = list(api.items(path, limit, **query))
    if as_json:
        show_json(exits)
    else:
        rows = ({**item, "created_at": item["created_at"][:19] + "Z", "waits_for": _waits_for(item)} for item in exits)
        show_table(_COLUMNS, ([row.get(column) for column in _COLUMNS] for row in rows))


def _count(data_dir: Path | None, as_json: bool, wanted: Json) -> None:
    with exit_api(data_dir) as api:
        counts = api.get("/exits/pending", counts=True, limit=1, **wanted)["counts"]
    if as_json:
        show_json(counts)
    elif counts["is_whole"]:
        show_table(("status", "exits"), [*counts["by_status"].items(), ("all", counts["total"])])
    else:
        show_table(("status", "exits"), [("all", f"more than {counts['total']}")])


def _waits_for(intent: Json) -> str:
    """Return the gates in the way of an exit and its error; `-` once it has ended, or while its broker works on it."""
    held = [f"{gate['gate']} {gate['verdict']}" for gate in intent["gates"] if gate["verdict"] != "PASS"]
    error = [intent["error_message"] or intent["error_code"]] if intent["error_code"] else []
    never = [] if intent["executable"] else ["record only, never sent"]
    return ", ".join(never + held + error) or "-"


def _show_intent(intent: Json, as_json: bool) -> None:
    if as_json:
        show_json(intent)
        return
    show_facts((name, value) for name, value in intent.items() if name != "gates")
    gates = intent.get("gates") or []
    show_table(_GATE_COLUMNS, ([gate.get(column) for column in _GATE_COLUMNS] for gate in gates), title="gates")


def _switch(path: str, body: Json | None, data_dir: Path | None, as_json: bool) -> None:
    with exit_api(data_dir) as api:
        switch = api.get(path) if body is None else api.put(path, body)
    show_json(switch) if as_json else show_facts(switch.items())


def _needed(reason: str | None) -> str:
    if not reason:
        raise typer.BadParameter("pass --reason; it is stored in the audit log")
    return reason
