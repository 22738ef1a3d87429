"""Log-in state of accounts."""

from __future__ import annotations

import sqlite3

_LOGGED_OUT = "SELECT account FROM sessions WHERE NOT is_open"


class SessionStore:
    """Sessions within one transaction. An account without a log-in or log-out counts as logged in.

    Attributes
    ----------
    changed:
        Whether this transaction stored a log-in or log-out.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.changed = False

    def logged_out(self) -> frozenset[str]:
        """Return the accounts with a log-out and no later log-in."""
        return frozenset(account for (account,) in self._connection.execute(_LOGGED_OUT))

    def is_renewable(self, account: str) -> bool:
        """Return False only after the end of its refresh token, until the next log-in."""
        row = self._connection.execute("SELECT is_renewable FROM sessions WHERE account = ?", (account,)).fetchone()
        return row is None or bool(row[0])

    def log_in(self, account: str, now_ms: int) -> None:
        """Make the account's token valid from now on."""
        self._set(account, now_ms, is_open=True)

    def log_out(self, account: str, now_ms: int, *, is_renewable: bool) -> None:
        """Make the account's token invalid until the next log-in or, if its session is renewable, its renewal."""
        self._set(account, now_ms, is_open=False, is_renewable=is_renewable and self.is_renewable(account))

    def _set(self, account: str, now_ms: int, *, is_open: bool, is_renewable: bool = True) -> None:
        self.changed = True
        self._connection.execute(
            "INSERT OR REPLACE INTO sessions (account, login_ms, is_open, is_renewable) VALUES (?, ?, ?, ?)",
            (account, now_ms, is_open, is_renewable),
        )
