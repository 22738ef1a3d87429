"""Triggers (GTT) in the ledger."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import astuple
from itertools import groupby
from typing import Any

from services.paper_broker.book_time import number_at
from services.paper_broker.gtts import Gtt, GttLeg

_GTT = "g.trigger_id, g.account, g.symbol, g.kind, g.status, g.last_units, g.created_ms, g.updated_ms, g.expires_ms"
_LEG_FIELDS = """trigger_units, fires, side, product, quantity, limit_units, triggered_units, triggered_ms,
    order_number, refusal"""
_GTT_FIELDS = 9
_READ = f"SELECT {_GTT}, {_LEG_FIELDS} FROM gtts g JOIN gtt_legs USING (trigger_id)"  # noqa: S608  # constants
_OF_ACCOUNT = f"{_READ} WHERE g.account = ? ORDER BY g.trigger_id, leg"
_ONE = f"{_READ} WHERE g.trigger_id = ? AND g.account = ? ORDER BY leg"
_ACTIVE = f"{_READ} WHERE g.status = 'active' AND g.symbol = ? ORDER BY g.trigger_id, leg"


class GttStore:
    """Triggers within one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def next_id(self, now_ms: int) -> int:
        """Return a new trigger id, greater than all before."""
        (last,) = self._connection.execute("SELECT max(trigger_id) FROM gtts").fetchone()
        return max((last or 0) + 1, number_at(now_ms))

    def save(self, gtt: Gtt) -> None:
        """Store a trigger with its legs in place of its stored state."""
        self._connection.execute("DELETE FROM gtt_legs WHERE trigger_id = ?", (gtt.trigger_id,))
        self._connection.execute(
            "INSERT OR REPLACE INTO gtts (trigger_id, account, symbol, kind, status, last_units, created_ms,"
            " updated_ms, expires_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                gtt.trigger_id,
                gtt.account,
                gtt.symbol,
                gtt.kind,
                gtt.status,
                gtt.last_units,
                gtt.created_ms,
                gtt.updated_ms,
                gtt.expires_ms,
            ),
        )
        self._connection.executemany(
            f"INSERT INTO gtt_legs (trigger_id, leg, {_LEG_FIELDS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608  # constants
            [(gtt.trigger_id, number, *astuple(leg)) for number, leg in enumerate(gtt.legs)],
        )

    def find(self, account: str, trigger_id: int) -> Gtt | None:
        """Return a trigger of the account, or None."""
        return next(iter(_gtts(self._connection.execute(_ONE, (trigger_id, account)))), None)

    def of_account(self, account: str) -> list[Gtt]:
        """Return the account's triggers, oldest first."""
        return _gtts(self._connection.execute(_OF_ACCOUNT, (account,)))

    def active(self, symbol: str) -> list[Gtt]:
        """Return the symbol's active triggers, oldest first; some may have outlived their time."""
        return _gtts(self._connection.execute(_ACTIVE, (symbol,)))

    def active_symbols(self) -> set[str]:
        """Return symbols with an active trigger."""
        rows = self._connection.execute("SELECT DISTINCT symbol FROM gtts WHERE status = 'active'")
        return {symbol for (symbol,) in rows}


def _gtts(rows: Iterable[tuple[Any, ...]]) -> list[Gtt]:
    by_gtt = groupby(rows, key=lambda row: row[:_GTT_FIELDS])
    return [_gtt((*fields, tuple(GttLeg(*row[_GTT_FIELDS:]) for row in legs))) for fields, legs in by_gtt]


def _gtt(values: tuple[Any, ...]) -> Gtt:
    return Gtt(*values)
