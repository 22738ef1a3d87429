"""Surprises of orders in the ledger."""

from __future__ import annotations

import sqlite3
from dataclasses import astuple

from services.paper_broker.surprises import Surprises

_COLUMNS = "cancel_ms, late_after_ms, late_quantity, late_fill_ms, shown_from_ms"


class SurpriseStore:
    """Surprises within one transaction.

    Attributes
    ----------
    delays:
        Whether this transaction stored a surprise that is still to come.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.delays = False

    def save(self, order_number: int, surprises: Surprises) -> None:
        """Store the surprises of an order."""
        self._connection.execute(
            f"INSERT OR REPLACE INTO surprises (order_number, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608  # constants
            (order_number, *astuple(surprises)),
        )
        self.delays = True

    def of(self, order_number: int) -> Surprises | None:
        """Return what still comes to an order, None if nothing was ever planned."""
        row = self._connection.execute(
            f"SELECT {_COLUMNS} FROM surprises WHERE order_number = ?",  # noqa: S608  # constants
            (order_number,),
        ).fetchone()
        return Surprises(*row) if row else None

    def due(self, now_ms: int, limit: int) -> list[int]:
        """Return at most `limit` numbers of orders to be cancelled or filled late by `now_ms`."""
        rows = self._connection.execute(
            "SELECT order_number FROM surprises WHERE cancel_ms <= ? OR late_fill_ms <= ?"
            " ORDER BY order_number LIMIT ?",
            (now_ms, now_ms, limit),
        )
        return [number for (number,) in rows]

    def hides(self, order_number: int, now_ms: int) -> bool:
        """Return whether no book shows an order yet."""
        found = self._connection.execute(
            "SELECT 1 FROM surprises WHERE order_number = ? AND shown_from_ms > ?", (order_number, now_ms)
        )
        return found.fetchone() is not None

    def hidden(self, now_ms: int) -> frozenset[int]:
        """Return the numbers of orders in no book yet."""
        rows = self._connection.execute("SELECT order_number FROM surprises WHERE shown_from_ms > ?", (now_ms,))
        return frozenset(number for (number,) in rows)
