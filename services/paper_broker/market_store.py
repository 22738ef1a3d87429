"""Quotes and feed offsets in the ledger."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import astuple

from services.paper_broker.quotes import Quote

TopicPartitionKey = tuple[str, int]
"""Cluster topic name and partition."""

_COLUMNS = "symbol, last_units, at_us, seq, day, open_units, high_units, low_units, close_units"
_LOG_IDENTITY = "log_identity"


class MarketStore:
    """Market data within one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def quote(self, symbol: str) -> Quote | None:
        """Return the symbol's quote, or None if it never traded."""
        row = self._connection.execute(f"SELECT {_COLUMNS} FROM quotes WHERE symbol = ?", (symbol,)).fetchone()  # noqa: S608  # constants
        return Quote(*row) if row else None

    def last_units(self, symbol: str) -> int | None:
        """Return the symbol's last price, or None if it never traded."""
        quote = self.quote(symbol)
        return quote.last_units if quote else None

    def quotes(self) -> list[Quote]:
        """Return every quote by symbol."""
        rows = self._connection.execute(f"SELECT {_COLUMNS} FROM quotes ORDER BY symbol")  # noqa: S608  # constants
        return [Quote(*row) for row in rows]

    def save_quotes(self, quotes: Iterable[Quote]) -> None:
        """Store these quotes, replacing earlier ones of their symbols."""
        self._connection.executemany(
            f"INSERT OR REPLACE INTO quotes ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608  # constants
            (astuple(quote) for quote in quotes),
        )

    def symbols(self) -> list[str]:
        """Return every symbol with a quote, an entry, an order or a trigger."""
        rows = self._connection.execute(
            "SELECT symbol FROM quotes UNION SELECT symbol FROM turnover UNION SELECT symbol FROM orders"
            " UNION SELECT symbol FROM gtts ORDER BY symbol"
        )
        return [symbol for (symbol,) in rows]

    def offsets(self) -> dict[TopicPartitionKey, int]:
        """Return the feed's next offset of each partition read so far."""
        rows = self._connection.execute("SELECT topic, partition_id, next_offset FROM feed_offsets")
        return {(topic, partition): offset for topic, partition, offset in rows}

    def save_offsets(self, offsets: Mapping[TopicPartitionKey, int]) -> None:
        """Store the feed's offsets."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO feed_offsets (topic, partition_id, next_offset) VALUES (?, ?, ?)",
            ((topic, partition, offset) for (topic, partition), offset in offsets.items()),
        )

    def begin_log(self, topic: str, identity: str, *, again: bool = False) -> bool:
        """Forget the offsets of a topic after its replacement or for reading it again.

        Return True if a log was known and its offsets were forgotten.
        """
        name = f"{_LOG_IDENTITY}:{topic}"
        row = self._connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        if row is not None and row[0] == identity and not again:
            return False
        self._connection.execute("DELETE FROM feed_offsets WHERE topic = ?", (topic,))
        self._connection.execute("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", (name, identity))
        return row is not None
