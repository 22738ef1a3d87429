"""`exitflow trades`: open, change the plan, list, show, reconcile."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from services.cli.commands import trades_reconcile
from services.cli.support.api_client import Json, path_of
from services.cli.support.apis import trade_api
from services.cli.support.command_line import AsJson, DataDir, IdempotencyKey, examples, new_app
from services.cli.support.output import show_facts, show_json, show_table
from services.cli.support.plan_options import plan_fields, plan_of, with_plan_options
from shared.contracts.vocabulary import Direction, ProductType, TradeStatus

app = new_app("Open and show trades.")
trades_reconcile.add_to(app)

AllowImmediate = Annotated[
    bool, typer.Option("--allow-immediate", help="Take a plan already met at the last price; it exits at once.")
]

_COLUMNS = (
    "trade_id",
    "symbol",
    "direction",
    "quantity",
    "entry_price",
    "status",
    "exit_price",
    "net_pnl",
    "closed_at",
)


def add_to(root: typer.Typer, panel: str) -> None:
    """Add the group `trades` to a panel of the help."""
    root.add_typer(app, name="trades", rich_help_panel=panel)


@app.command(
    "open",
    epilog=examples(
        "trades open NSE:INFY LONG 100 --entry 1000.00 --target 1010.00 --stop-loss 990.00",
        "trades open NSE:SBIN SHORT 50 --entry 800 --target 792 --stop-loss 804 --json",
        "trades open NSE:TCS LONG 10 --entry 3500 --trail-percent 0.5 --break-even-arm 20 --max-hold 3600",
    ),
)
@with_plan_options
def open_trade(
    symbol: Annotated[str, typer.Argument(help="EXCHANGE:SYMBOL, e.g. NSE:INFY.")],
    direction: Annotated[Direction, typer.Argument(help="LONG or SHORT.", case_sensitive=False)],
    quantity: Annotated[int, typer.Argument(help="Shares.", min=1)],
    entry: Annotated[str, typer.Option(help="Entry price, in rupees.")],
    product: Annotated[ProductType, typer.Option(help="Product.", case_sensitive=False)] = ProductType.MIS,
    broker: Annotated[str, typer.Option(help="User broker of its exit.")] = "paper",
    allow_immediate: AllowImmediate = False,
    entered_at: Annotated[str | None, typer.Option(help="When it was entered, RFC 3339; now by default.")] = None,
    key: IdempotencyKey = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
    **plan: Any,
) -> None:
    """Open a trade with its exit plan."""
    body: Json = {
        "symbol": symbol,
        "direction": direction.value,
        "product_type": product.value,
        "quantity": quantity,
        "entry_price": entry,
        "user_broker_id": broker,
        "exit_plan": plan_of(plan),
        "allow_immediate": allow_immediate,
    }
    if entered_at is not None:
        body["entered_at"] = entered_at
    with trade_api(data_dir) as api:
        trade = api.post("/trades", body, key)
    show_json(trade) if as_json else show_facts(trade.items())


@app.command(
    "plan",
    epilog=examples(
        "trades plan 019abc… --stop-loss 1002.00",
        "trades plan 019abc… --target 1020 --remove break_even --reason 'strong close' --json",
    ),
)
@with_plan_options
def change_plan(
    trade_id: Annotated[str, typer.Argument(help="The trade's id.")],
    remove: Annotated[
        list[str] | None, typer.Option(help=f"Remove this rule: {', '.join(plan_fields())}. May be repeated.")
    ] = None,
    if_version: Annotated[
        int | None, typer.Option(help="Change only this version of the plan; the current one by default.", min=1)
    ] = None,
    allow_immediate: AllowImmediate = False,
    reason: Annotated[str | None, typer.Option(help="Why; kept in the audit log.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
    **plan: Any,
) -> None:
    """Change the exit plan of an open trade; rules without an option stay."""
    change = _plan_change(plan, remove or [])
    change["allow_immediate"] = allow_immediate
    if reason is not None:
        change["reason_note"] = reason
    with trade_api(data_dir) as api:
        version = if_version or api.get(path_of("/trades/{}", trade_id))["plan_version"]
        trade = api.patch(path_of("/trades/{}/exit-plan", trade_id), change, f'"{version}"')
    show_json(trade) if as_json else show_facts(trade.items())


def _plan_change(plan: Json, remove: list[str]) -> Json:
    unknown = set(remove) - set(plan_fields())
    if unknown:
        raise typer.BadParameter(f"--remove takes {', '.join(plan_fields())}; not {', '.join(sorted(unknown))}")
    change: Json = plan_of(plan) | dict.fromkeys(remove)
    if not change:
        raise typer.BadParameter("nothing to change; give an option of the exit plan, or --remove RULE")
    return change


@app.command("list", epilog=examples("trades list --status OPEN", "trades list --symbol NSE:INFY --limit 10 --json"))
def list_trades(
    status: Annotated[TradeStatus | None, typer.Option(help="Only these.", case_sensitive=False)] = None,
    symbol: Annotated[str | None, typer.Option(help="Only on this symbol.")] = None,
    limit: Annotated[int, typer.Option(help="Trades at most.", min=1)] = 50,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List trades, newest first."""
    with trade_api(data_dir) as api:
        trades = list(api.items("/trades", limit, status=status and status.value, symbol=symbol))
    if as_json:
        show_json(trades)
    else:
        show_table(_COLUMNS, ([trade.get(column) for column in _COLUMNS] for trade in trades))


@app.command("show", epilog=examples("trades show 019abc… --timeline"))
def show_trade(
    trade_id: Annotated[str, typer.Argument(help="The trade's id.")],
    timeline: Annotated[bool, typer.Option("--timeline", help="Also its steps, in order.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show one trade."""
    with trade_api(data_dir) as api:
        trade = api.get(path_of("/trades/{}", trade_id))
        if timeline:
            trade["timeline"] = api.get(path_of("/trades/{}/timeline", trade_id))["items"]
    if as_json:
        show_json(trade)
        return
    steps = trade.pop("timeline", [])
    show_facts(trade.items())
    if steps:
        columns = list(dict.fromkeys(name for step in steps for name in step))
        show_table(columns, ([step.get(column) for column in columns] for step in steps), title="timeline")
