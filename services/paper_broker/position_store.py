"""Entries and turnover in the ledger."""

from __future__ import annotations

import sqlite3
from dataclasses import astuple

from services.paper_broker.positions import Entry, Position, Turnover, turnover_of

_SUMS = "sum(buy_quantity), sum(buy_value), sum(sell_quantity), sum(sell_value)"
_POSITIONS = f"""
    SELECT t.symbol, t.product, t.day >= ?, q.last_units, {_SUMS}
    FROM turnover t LEFT JOIN quotes q USING (symbol)
    WHERE t.account = ? GROUP BY t.symbol, t.product, t.day >= ? ORDER BY t.symbol, t.product"""  # noqa: S608  # constants
_ADD = """
    INSERT INTO turnover (account, symbol, product, day, buy_quantity, buy_value, sell_quantity, sell_value)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (account, symbol, product, day) DO UPDATE SET
        buy_quantity = buy_quantity + excluded.buy_quantity, buy_value = buy_value + excluded.buy_value,
        sell_quantity = sell_quantity + excluded.sell_quantity, sell_value = sell_value + excluded.sell_value"""
_NET = """
    SELECT coalesce(sum(buy_quantity - sell_quantity), 0) FROM turnover
    WHERE account = ? AND symbol = ? AND product = ?"""
_INSERT_ENTRY = """
    INSERT INTO entries (trade_id, account, symbol, product, quantity, price_units, entered_ms)
    VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"""


class PositionStore:
    """Positions within one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add_entry(self, entry: Entry, day: str) -> bool:
        """Book an entry once; return False if its trade is booked already."""
        if self._connection.execute(_INSERT_ENTRY, astuple(entry)).rowcount == 0:
            return False
        self.add(entry.account, entry.symbol, entry.product, day, turnover_of(entry.signed_quantity, entry.price_units))
        return True

    def add(self, account: str, symbol: str, product: str, day: str, turnover: Turnover) -> None:
        """Add to the quantities bought and sold on a day (``YYYY-MM-DD``)."""
        self._connection.execute(_ADD, (account, symbol, product, day, *astuple(turnover)))

    def net_of(self, account: str, symbol: str, product: str) -> int:
        """Return the open quantity of a symbol in a product; negative is short."""
        (net,) = self._connection.execute(_NET, (account, symbol, product)).fetchone()
        return int(net)

    def of_account(self, account: str, day: str) -> list[Position]:
        """Return the account's positions as of `day`; earlier quantities are overnight. Uses one query."""
        found: dict[tuple[str, str], Position] = {}
        for symbol, product, is_today, last, *sums in self._connection.execute(_POSITIONS, (day, account, day)):
            known = found.get((symbol, product), Position(symbol, product, Turnover(), Turnover(), last))
            overnight, today = (known.overnight, Turnover(*sums)) if is_today else (Turnover(*sums), known.today)
            found[symbol, product] = Position(symbol, product, overnight, today, last)
        return list(found.values())
