"""`exitflow exits`: force, resolve, withdraw."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli.support.api_client import Json, path_of
from services.cli.support.apis import exit_api
from services.cli.support.command_line import AsJson, DataDir, IdempotencyKey, examples, needed_reason
from services.cli.support.exits_output import show_intent
from services.cli.support.output import show_json, show_table
from shared.contracts.vocabulary import ExitReason, ProductType
from shared.wording import plural

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
_WITHDRAWAL_COLUMNS = (
    "intent_id",
    "trade_id",
    "symbol",
    "exit_reason",
    "status",
    "quantity",
    "user_broker_id",
    "skipped",
)
DryRun = Annotated[bool, typer.Option("--dry-run", help="With a filter: only list the effects.")]


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
    group.command(
        "withdraw",
        epilog=examples(
            'exits withdraw 019abc… --reason "wrong trade"',
            "exits withdraw --symbol NSE:INFY --dry-run",
            'exits withdraw --user-broker live-1 --exit-reason TARGET --reason "wrong plan"',
        ),
    )(withdraw)


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
    dry_run: DryRun = False,
    record_only: Annotated[
        bool, typer.Option("--record-only", help="Where the rollout executes nothing: write and publish it only.")
    ] = False,
    key: IdempotencyKey = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Exit a trade at the market, now, by hand; or every open trade matching a filter."""
    conditions = _conditions(symbol=symbol, product_type=product, user_broker_id=user_broker)
    _require_one_or_many(trade_id, "a trade", conditions, "--symbol, --product, --user-broker", dry_run)
    if trade_id is None:
        if record_only:
            raise typer.BadParameter("--record-only needs a trade")
        _force_many({**conditions, "reason_note": note, "dry_run": dry_run}, key, data_dir, as_json)
        return
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
    intent_id: Annotated[
        str | None, typer.Argument(help="The exit to cancel; it must not have been sent. Or name a filter.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why; audited. A dry run needs none.")] = None,
    symbol: Annotated[str | None, typer.Option(help="Every unsent exit on this symbol.")] = None,
    user_broker: Annotated[str | None, typer.Option(help="Every unsent exit at this user broker.")] = None,
    exit_reason: Annotated[
        ExitReason | None, typer.Option(help="Every unsent exit for this reason.", case_sensitive=False)
    ] = None,
    dry_run: DryRun = False,
    key: IdempotencyKey = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Cancel an unsent exit, or every one matching a filter."""
    conditions = _conditions(symbol=symbol, user_broker_id=user_broker, exit_reason=exit_reason)
    _require_one_or_many(intent_id, "an exit", conditions, "--symbol, --user-broker, --exit-reason", dry_run)
    why = "dry run" if dry_run else needed_reason(reason)
    if intent_id is None:
        _withdraw_many({**conditions, "reason": why, "dry_run": dry_run}, key, data_dir, as_json)
        return
    with exit_api(data_dir) as api:
        show_intent(api.post(path_of("/exits/{}/withdraw", intent_id), {"reason": why}, key), as_json)


def _conditions(**given: object) -> Json:
    """Return the given conditions."""
    return {name: str(value) for name, value in given.items() if value is not None}


def _require_one_or_many(one: str | None, what: str, conditions: Json, options: str, dry_run: bool) -> None:
    if (one is None) != bool(conditions):
        raise typer.BadParameter(f"name either {what} or a filter: {options}")
    if one is not None and dry_run:
        raise typer.BadParameter("--dry-run needs a filter")


def _force_many(body: Json, key: str | None, data_dir: Path | None, as_json: bool) -> None:
    with exit_api(data_dir) as api:
        answer = api.post("/exits/bulk", body, key)
    verb = "would be made" if answer["dry_run"] else "made"
    _show_many(
        answer,
        f"{plural(answer['exits'], 'exit')} {verb}, {plural(len(answer['items']), 'trade')}",
        _BULK_COLUMNS,
        as_json,
    )


def _withdraw_many(body: Json, key: str | None, data_dir: Path | None, as_json: bool) -> None:
    with exit_api(data_dir) as api:
        answer = api.post("/exits/withdraw/bulk", body, key)
    verb = "would be withdrawn" if answer["dry_run"] else "withdrawn"
    _show_many(
        answer, f"{answer['withdrawn']} of {plural(len(answer['items']), 'exit')} {verb}", _WITHDRAWAL_COLUMNS, as_json
    )


def _show_many(answer: Json, title: str, columns: tuple[str, ...], as_json: bool) -> None:
    if as_json:
        show_json(answer)
        return
    show_table(columns, ([item.get(column) for column in columns] for item in answer["items"]), title=title)


def _fill(text: str) -> Json:
    parts = text.split(":", 3)
    if len(parts) != 4 or not parts[1].isdigit():
        raise typer.BadParameter(f"{text!r} is not TRADE_ID:QUANTITY:PRICE:TIME")
    trade_id, quantity, price, filled_at = parts
    return {"broker_trade_id": trade_id, "quantity": int(quantity), "price": price, "filled_at": filled_at}
