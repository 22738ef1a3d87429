"""Bounds of requests that change every row of a filter, and their reasons for skipping one."""

from __future__ import annotations

from collections.abc import Sized
from typing import Final

from services.exit_qualification.storage.conditions import Conditions
from shared.errors import InvalidInput

MOST: Final = 1000
"""Maximum rows of one request; repeat it for the others."""
BUSY: Final = "row_held"
"""Another transaction holds the row."""


def require_condition(wanted: Conditions, *names: str) -> None:
    """Refuse a filter without any condition.

    Raises
    ------
    InvalidInput
        The filter names nothing.
    """
    if wanted.is_empty:
        raise InvalidInput(f"name {' or '.join(names)}: a filter without any is refused")


def require_few(found: Sized, what: str) -> None:
    """Refuse a filter with more than `MOST` rows; the caller reads one more than that.

    Raises
    ------
    InvalidInput
        There are more rows.
    """
    if len(found) > MOST:
        raise InvalidInput(f"more than {MOST} {what}; narrow the filter", limit=MOST)
