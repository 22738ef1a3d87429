"""Final report of the demo."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from rich.table import Table

from services.checker.finding import Finding
from services.cli.support.api_client import Json
from services.cli.support.output import cell, console, table_of
from services.demo.session import total_of
from shared.money import money_text

SHOWN_TRADES = 15
_AMOUNTS = ("gross_pnl", "charges", "net_pnl")
_COLUMNS = {
    "symbol": "symbol",
    "side": "direction",
    "product": "product_type",
    "reason": "exit_reason",
    "quantity": "quantity",
    "entry": "entry_price",
    "exit": "exit_price",
    "gross": "gross_pnl",
    "charges": "charges",
    "net": "net_pnl",
}
"""Heading and field."""
_FIRST_NUMBER = 4
SHOWN_VIOLATIONS = 5


def trades_as_json(trades: Sequence[Json], findings: Sequence[Finding]) -> dict[str, Any]:
    """Return all trades as JSON, for programs."""
    return {
        "trades": list(trades),
        "totals": {what: money_text(total_of(list(trades), what)) for what in _AMOUNTS},
        "invariants": [
            {
                "invariant": each.rule.number,
                "statement": each.rule.statement,
                "holds": each.holds,
                "checked": each.checked,
                "note": each.note,
                "violations": list(each.violations),
            }
            for each in findings
        ],
    }


def show_trades(trades: Sequence[Json]) -> None:
    """Print the best and worst trades, and the totals."""
    ranked = sorted(trades, key=lambda trade: abs(Decimal(trade["net_pnl"])), reverse=True)
    rows = [[trade.get(column) for column in _COLUMNS.values()] for trade in ranked[:SHOWN_TRADES]]
    table = table_of(
        list(_COLUMNS), rows, title=f"{len(trades)} closed trades; the {len(rows)} with the largest gains and losses"
    )
    for column in table.columns[_FIRST_NUMBER:]:
        column.justify = "right"
    table.add_section()
    amounts = [money_text(total_of(list(trades), what)) for what in _AMOUNTS]
    table.add_row(f"all {len(trades)}", *[""] * (len(_COLUMNS) - 1 - len(_AMOUNTS)), *amounts, style="bold")
    console().print(table)
    _show_reasons(trades)


def show_findings(findings: Sequence[Finding]) -> None:
    """Print each rule's verdict and violations."""
    table = Table(title="Invariant", title_justify="left", header_style="bold")
    for column in ("", "invariant", "checked", "verdict", ""):
        table.add_column(column)
    for each in findings:
        verdict = "[green]holds[/green]" if each.holds else f"[red]{len(each.violations)} violations[/red]"
        table.add_row(each.rule.number, each.rule.statement, str(each.checked), verdict, cell(each.note))
    console().print(table)
    for each in findings:
        for violation in each.violations[:SHOWN_VIOLATIONS]:
            console().print(f"  {each.rule.number}: {cell(violation)}")


def _show_reasons(trades: Sequence[Json]) -> None:
    reasons = sorted({str(trade["exit_reason"]) for trade in trades})
    parts = [f"{reason} {sum(trade['exit_reason'] == reason for trade in trades)}" for reason in reasons]
    console().print("exits: " + ", ".join(parts))
