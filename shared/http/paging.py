"""Cursor paging: a page ends with the key of its last row, opaque to callers."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Query

from shared.errors import InvalidInput

MAX_PAGE = 500
PageLimit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="items in a page at most")]
LONGEST_CURSOR = 10_000
"""Characters; of a key of 1,000 the worst takes six bytes each in JSON, and a third more in base64."""

PageCursor = Annotated[str | None, Query(max_length=LONGEST_CURSOR, description="`next` of the page before")]


def encode_cursor(key: Sequence[str]) -> str:
    """The cursor behind a row with this sort key."""
    return base64.urlsafe_b64encode(json.dumps(list(key), ensure_ascii=False).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, parts: int) -> list[str]:
    """The sort key in a cursor.

    Raises
    ------
    InvalidInput
        It is not one of ours.
    """
    try:
        key: Any = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError) as error:
        raise InvalidInput("not a cursor of this list") from error
    if not isinstance(key, list) or len(key) != parts or not all(isinstance(part, str) for part in key):
        raise InvalidInput("not a cursor of this list")
    return key
