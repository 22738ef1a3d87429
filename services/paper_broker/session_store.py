"""Log-in state of accounts."""

from __future__ import annotations

import sqlite3


class SessionStore:
    """Sessions within one transaction. An account without a log-in or log-out counts as logged in."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def is_open(self, account: str) -> bool:
        """Return False only after a log-out."""
        row = self._connection.execute("SELECT is_open FROM sessions WHERE account = ?", (account,)).fetchone()
        return row is None or bool(row[0])

    def log_in(self, account: str, now_ms: int) -> None:
        """Make the account's token valid from now on."""
        self._set(account, now_ms, 1)

    def log_out(self, account: str, now_ms: int) -> None:
        """Make the account's token invalid until the next log-in."""
        self._set(account, now_ms, 0)

    def _set(self, account: str, now_ms: int, is_open: int) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO sessions (account, login_ms, is_open) VALUES (?, ?, ?)", (account, now_ms, is_open)
        )
