"""`exitflow exits`: force, resolve, withdraw."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli.support.api_client import Json, path_of
from services.cli.support.apis import exit_api
from services.cli.support.command_line import AsJson, DataDir, IdempotencyKey, examples
from services.cli.support.exits_output import show_intent
from services.cli.support.output import show_json, show_table
from shared.contracts.vocabulary import ProductType

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


def add_to(group: typer.Typer) -> None:
    """Add the commands to the group `exits`."""
    group.command(
        "force",
        epilog=examples(
            'exits force 019abc… --reason-note "results tomorrow"',
            "exits force 019abc… --record-only",
            'exits force --symbol NSE:INFY --product MIS --reason-note "halted" --dry-run',
        ),
    )(force)
    group.command(
        "resolve",
        epilog=examples(
            "exits resolve 019abc… filled --order 260113000001 --fill T1:9:1010.50:2026-01-13T04:00:05Z --reason note",
            'exits resolve 019abc… not_placed --reason "the broker confirmed it by phone"',
        ),
    )(resolve)
    group.command("withdraw", epilog=examples('exits withdraw 019abc… --reason "wrong trade"'))(withdraw)


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
        show_intent(api.post("/exits", body, key), as_json)


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
        show_intent(api.post(path_of("/exits/{}/resolve", intent_id), body, key), as_json)


def withdraw(
    intent_id: Annotated[str, typer.Argument(help="The exit to cancel; it must not have been sent.")],
    reason: Annotated[str, typer.Option(help="Why; audited.")],
    key: IdempotencyKey = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Cancel an unsent exit."""
    with exit_api(data_dir) as api:
        show_intent(api.post(path_of("/exits/{}/withdraw", intent_id), {"reason": reason}, key), as_json)


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
