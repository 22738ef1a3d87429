"""Keyset paging: one page of a list, and the opaque cursor of the page behind it."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import TypeAdapter, ValidationError

from shared.errors import InvalidInput

T = TypeVar("T")
K = TypeVar("K")

MAX_PAGE = 500
PageLimit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="items in a page at most")]

LONGEST_CURSOR = 10_000
"""Characters. A control character of a key takes six bytes in JSON, and base64 adds a third."""

PageCursor = Annotated[str | None, Query(max_length=LONGEST_CURSOR, description="`next` of the page before")]

_VERSION = b"\x01"
_CHECKSUM_BYTES = 8


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Rows of one page, and the cursor of the next page if there is one."""

    items: list[T]
    next: str | None


class Keyset(Generic[T, K]):
    """The order of one list: each row's sort key, and cursors carrying such keys.

    A cursor is base64 of a version byte, a checksum and the key as JSON. The checksum covers the list's name, so a
    cursor of another list is rejected. It detects mistakes but is not a proof of origin, so the key is validated too.

    Parameters
    ----------
    name:
        Name of the list, part of every checksum.
    key_type:
        Type of the sort key, a tuple; pydantic validates it from JSON.
    key_of:
        Return the sort key of a row.
    """

    def __init__(self, name: str, key_type: type[K], key_of: Callable[[T], K]) -> None:
        self._name = name.encode()
        self._keys: TypeAdapter[K] = TypeAdapter(key_type)
        self._key_of = key_of

    def page(self, found: Sequence[T], limit: int) -> Page[T]:
        """Return the page of `limit` rows; `found` has one row more if another page follows."""
        shown = list(found[:limit])
        return Page(shown, self.cursor(self._key_of(shown[-1])) if len(found) > limit else None)

    def cursor(self, key: K) -> str:
        """Return the cursor of the page behind a row with this key."""
        content = self._keys.dump_json(key)
        return base64.urlsafe_b64encode(_VERSION + self._checksum(content) + content).decode().rstrip("=")

    def after(self, cursor: str | None) -> K | None:
        """Return the key before the page's first row; None for the first page.

        Raises
        ------
        InvalidInput
            The cursor was not made by this list.
        """
        if cursor is None:
            return None
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            return self._keys.validate_json(self._content(raw))
        except (binascii.Error, ValidationError, ValueError) as error:
            raise InvalidInput("Invalid `cursor`; use the `next` value of the previous page.") from error

    def _content(self, raw: bytes) -> bytes:
        checksum, content = raw[1 : 1 + _CHECKSUM_BYTES], raw[1 + _CHECKSUM_BYTES :]
        if raw[:1] != _VERSION or checksum != self._checksum(content):
            raise ValueError("another version or a wrong checksum")
        return content

    def _checksum(self, content: bytes) -> bytes:
        return hashlib.blake2b(content, digest_size=_CHECKSUM_BYTES, key=self._name).digest()
