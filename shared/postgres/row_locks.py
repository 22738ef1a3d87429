"""Row locks held by others: how long to wait, and how to recognize a lock time-out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, OperationalError

from shared.errors import Unavailable
from shared.postgres.hot_path import send

LOCK_NOT_AVAILABLE = "55P03"
"""SQLSTATE of ``NOWAIT`` and of an expired ``lock_timeout``."""

ROW_LOCK_TIMEOUT_MS = 250
"""Longest wait for one lock in a transaction of many items. It is longer than any transaction of ours holds a row, and
short: an item with a locked row must not hold up the others."""

LIMIT_WAITS = text("""
-- row_locks.limit_waits: until the transaction ends
SELECT set_config('lock_timeout', CAST(:timeout_ms AS text), true)
""")


def limit_lock_waits(connection: Connection, timeout_ms: int = ROW_LOCK_TIMEOUT_MS) -> None:
    """Let no statement of the current transaction wait longer than this for a lock."""
    send(connection, LIMIT_WAITS, {"timeout_ms": timeout_ms})


def is_lock_timeout(error: BaseException | None) -> bool:
    """Return True if a statement failed because another transaction held its lock."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) == LOCK_NOT_AVAILABLE


class RowHeld(Unavailable):
    """Another transaction holds a row needed by this item; try the item again later."""

    code = "row_held"


@contextmanager
def own_row_only() -> Iterator[None]:
    """Turn a lock time-out into `RowHeld`."""
    try:
        yield
    except OperationalError as error:
        if not is_lock_timeout(error):
            raise
        raise RowHeld("another transaction holds a row it needs") from error
