"""`exitflow pnl`: profit and loss of closed trades."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import typer

from services.cli.support.apis import trade_api
from services.cli.support.command_line import AsJson, DataDir, day_option, examples
from services.cli.support.output import show_facts, show_json, show_table
from shared.contracts.vocabulary import ExitReason, ProductType

GROUPS = ("day", "symbol", "user_broker_id", "exit_reason", "product_type")
_SUMS = ("count", "gross_pnl", "charges", "net_pnl", "unknown_charges", "last_closed_at")


def add_to(root: typer.Typer, panel: str) -> None:
    """Add the command to a panel of the help."""
    epilog = examples("pnl", "pnl --by exit_reason --day yesterday", "pnl --by day --csv > pnl.csv")
    root.command("pnl", rich_help_panel=panel, epilog=epilog)(pnl)


def pnl(
    by: Annotated[str | None, typer.Option(help=f"Totals of each {', '.join(GROUPS)}.")] = None,
    day: Annotated[date | None, day_option("Only trades closed on this day")] = None,
    symbol: Annotated[str | None, typer.Option(help="Only on this symbol.")] = None,
    user_broker: Annotated[str | None, typer.Option(help="Only at this user broker.")] = None,
    reason: Annotated[ExitReason | None, typer.Option(help="Only of this exit reason.", case_sensitive=False)] = None,
    product: Annotated[ProductType | None, typer.Option(help="Only of this product.", case_sensitive=False)] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show profit and loss of closed trades: gross, charges, net."""
    if by is not None and by not in GROUPS:
        raise typer.BadParameter(f"--by takes {', '.join(GROUPS)}")
    wanted = {
        "group_by": by,
        "day": day,
        "symbol": symbol,
        "user_broker_id": user_broker,
        "exit_reason": reason,
        "product_type": product,
    }
    with trade_api(data_dir) as api:
        if as_csv:
            print(api.get_text("/pnl", format="csv", **wanted), end="")
            return
        answer = api.get("/pnl", **wanted)
    if as_json:
        show_json(answer)
        return
    if by is not None:
        rows = ([group["group"], *(group[name] for name in _SUMS)] for group in answer["groups"])
        show_table((by, *_SUMS), rows)
    show_facts((name, answer[name]) for name in _SUMS)
