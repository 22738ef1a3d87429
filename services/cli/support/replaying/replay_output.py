"""Output of `exitflow replay`."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final

from services.cli.support.output import note, show_facts, show_json, show_table
from services.replay.player import Played
from services.replay.report import EXIT_COLUMNS, compare, document, exit_row, open_row, total_row, totals
from services.replay.verify import Verified, verification
from services.trade_management.domain.shipped_charges import SHIPPED_FROM
from shared.wording import plural

_MOST_DIFFERENCES: Final = 20
_TABLE_COLUMNS: Final = tuple(name for name in EXIT_COLUMNS if name not in ("leg", "detected_at", "detected_price"))


class Format(StrEnum):
    """Form of the result."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def show_played(played: Sequence[Played], form: Format) -> None:
    """Print one replay, or two: the second is compared with the first."""
    _say_estimates(played)
    _SHOW[form](played)


def show_verified(verified: Verified, form: Format) -> None:
    """Print the result of a verification."""
    if form is Format.JSON:
        show_json(verification(verified))
        return
    for each in verified.differences[:_MOST_DIFFERENCES]:
        print(f"trade {each.trade_id} of {each.symbol}: {each.what}")
    more = len(verified.differences) - _MOST_DIFFERENCES
    if more > 0:
        print(f"and {more} more differing trades")
    print(
        f"stored exits that agree with the rules: {verified.same}; trades that differ: {len(verified.differences)}; "
        f"exits by hand: {verified.by_hand}; exits of trades missing in the book: {verified.unknown}"
    )


def _say_estimates(played: Sequence[Played]) -> None:
    first = played[0]
    if first.ticks == 0:
        note("no tick is of a symbol of the book" if first.others else "no ticks were read")
    if first.stale:
        note(f"{plural(first.stale, 'tick')} without effect: older than the one before")
    if any(each.trade.entered_on < SHIPPED_FROM for each in first.exits):
        note(f"charges before {SHIPPED_FROM} are estimated with its rates")


def _show_table(played: Sequence[Played]) -> None:
    first = played[0]
    rows = [exit_row(each) for each in first.exits]
    show_table(_TABLE_COLUMNS, ([row[name] for name in _TABLE_COLUMNS] for row in rows), title="exits")
    if first.open:
        found = [open_row(each) for each in first.open]
        show_table(tuple(found[0]), ([*row.values()] for row in found), title="open")
    if len(played) == 1:
        show_facts(total_row(totals(first)).items())
        return
    compared = [each.row() for each in compare(*played)]
    if compared:
        show_table(tuple(compared[0]), ([*row.values()] for row in compared), title="by trade")
    sums = [total_row(totals(each)) for each in played]
    show_table(("", "plan", "compared"), ((name, sums[0][name], sums[1][name]) for name in sums[0]), title="totals")


def _show_csv(played: Sequence[Played]) -> None:
    """Print one row per exit; of two replays, a first column names the plan."""
    named = len(played) > 1
    writer = csv.writer(sys.stdout)
    writer.writerow([*(["plan"] if named else []), *EXIT_COLUMNS])
    for name, each in zip(("plan", "compared"), played, strict=False):
        for exit_ in each.exits:
            row = exit_row(exit_)
            writer.writerow([*([name] if named else []), *(row[column] for column in EXIT_COLUMNS)])


def _show_json(played: Sequence[Played]) -> None:
    found: dict[str, Any] = document(played[0])
    if len(played) > 1:
        found = {"plan": found, "compared": document(played[1]), "by_trade": [each.row() for each in compare(*played)]}
    show_json(found)


_SHOW = {Format.TABLE: _show_table, Format.CSV: _show_csv, Format.JSON: _show_json}
