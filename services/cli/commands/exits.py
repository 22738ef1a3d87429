"""`exitflow exits`: the group, and its lists: pending, list, show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli.commands import exits_by_hand, exits_stops, exits_switches, exits_why
from services.cli.support.api_client import Json, path_of
from services.cli.support.apis import exit_api
from services.cli.support.command_line import AsJson, DataDir, examples, new_app
from services.cli.support.exit_filters import Broker, OrderId, Symbol
from services.cli.support.exits_output import show_intent
from services.cli.support.output import show_json, show_table
from shared.contracts.vocabulary import ExitReason, IntentStatus

app = new_app("Look at exits, force them, hold them back.")
for _part in (exits_why, exits_stops, exits_by_hand, exits_switches):
    _part.add_to(app)

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

Status = Annotated[IntentStatus | None, typer.Option(help="Only with this status.", case_sensitive=False)]
Reason = Annotated[ExitReason | None, typer.Option(help="Only for this reason.", case_sensitive=False)]
Limit = Annotated[int, typer.Option(help="Exits at most.", min=1)]


def add_to(root: typer.Typer, panel: str) -> None:
    """Add the group `exits` to a panel of the help."""
    root.add_typer(app, name="exits", rich_help_panel=panel)


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


@app.command("show", epilog=examples("exits show 019abc…"))
def show(
    intent_id: Annotated[str, typer.Argument(help="The intent's id.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show one exit with the verdict of every gate."""
    with exit_api(data_dir) as api:
        show_intent(api.get(path_of("/exits/{}", intent_id)), as_json)


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
