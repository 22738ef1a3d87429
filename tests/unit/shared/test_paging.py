"""Pages of a list and the cursors between them."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.exit_qualification.api.exits import INTENTS
from services.trade_management.api.trades import TRADES
from shared.errors import InvalidInput
from shared.http.outbox.routes import LARGEST_SEQUENCE, PARKED
from shared.http.paging import LONGEST_CURSOR, Keyset

LISTS: list[Keyset[Any, Any]] = [INTENTS, TRADES, PARKED]
NAMES = {id(INTENTS): b"exits", id(TRADES): b"trades", id(PARKED): b"outbox.parked"}

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=1000)
instants = st.datetimes(datetime(1970, 1, 2), datetime(2199, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001  # made aware


def forged(name: bytes, content: bytes, version: bytes = b"\x01") -> str:
    """A cursor with a right checksum, as whoever reads the code can make it."""
    checksum = hashlib.blake2b(content, digest_size=8, key=name).digest()
    return base64.urlsafe_b64encode(version + checksum + content).decode().rstrip("=")


@given(instants, st.uuids())
def test_cursor_of_time_and_id_reads_back_exactly(instant: datetime, identifier: UUID) -> None:
    for keyset in (INTENTS, TRADES):
        assert keyset.after(keyset.cursor((instant, identifier))) == (instant, identifier)


@given(texts, texts, st.integers(0, LARGEST_SEQUENCE))
def test_the_cursor_of_a_parked_event_reads_back_exactly(topic: str, key: str, sequence: int) -> None:
    assert PARKED.after(PARKED.cursor((topic, key, sequence))) == (topic, key, sequence)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=1))
def test_the_cursor_behind_the_longest_key_is_taken(character: str) -> None:
    assert len(PARKED.cursor(("t" * 249, character * 1000, LARGEST_SEQUENCE))) <= LONGEST_CURSOR


def test_no_cursor_asks_for_the_first_page() -> None:
    assert [keyset.after(None) for keyset in LISTS] == [None, None, None]


def refused(keyset: Keyset, cursor: str) -> None:
    """Assert the refusal of a cursor by a list, with a helpful message."""
    with pytest.raises(InvalidInput) as caught:
        keyset.after(cursor)
    assert str(caught.value) == "Invalid `cursor`; use the `next` value of the previous page."


@pytest.mark.parametrize("keyset", LISTS)
@given(text=st.text() | st.text("ABCDwxyz0189-_=", max_size=200) | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_text_that_no_list_made_is_refused(keyset: Keyset, text: str) -> None:
    refused(keyset, text)


WORST = [
    b'["\\ud800","k","1"]',
    b'["\\ud800","k",1]',
    b"[" * 7000,
    b"[" * 3000 + b"]" * 3000,
    b'["t","k",' + b"9" * 5000 + b"]",
    b'["t","k",9223372036854775808]',
    b'["t","k",-1]',
    b'["t","k",1e400]',
    b'["t","k",NaN]',
    b'["t\\u0000","k",1]',
    b'["0001-01-01T00:00:00+14:00","00000000-0000-0000-0000-000000000000"]',
    b'["9999-12-31T23:59:59-14:00","00000000-0000-0000-0000-000000000000"]',
    b'["2026-01-01T00:00:00","00000000-0000-0000-0000-000000000000"]',
    b'{"a":1}',
    b"",
    b"\xff\xfe",
    b"null",
]


@pytest.mark.parametrize("keyset", LISTS)
@pytest.mark.parametrize("content", WORST)
def test_a_forged_cursor_is_validated(keyset: Keyset, content: bytes) -> None:
    refused(keyset, forged(NAMES[id(keyset)], content))
    refused(keyset, base64.urlsafe_b64encode(content).decode())


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_a_forged_key_of_another_shape_is_refused(content: object) -> None:
    refused(INTENTS, forged(b"exits", json.dumps(content).encode()))


def test_a_cursor_of_another_list_or_version_is_refused() -> None:
    key = (datetime(2026, 1, 1, tzinfo=UTC), UUID(int=1))
    refused(INTENTS, TRADES.cursor(key))
    refused(TRADES, INTENTS.cursor(key))
    content = json.dumps(["2026-01-01T00:00:00Z", str(UUID(int=1))]).encode()
    assert INTENTS.after(forged(b"exits", content)) == key
    refused(INTENTS, forged(b"exits", content, version=b"\x02"))


@given(st.integers(0, 400), st.integers(0, 7))
def test_one_wrong_bit_is_found(position: int, bit: int) -> None:
    cursor = INTENTS.cursor((datetime(2026, 1, 1, tzinfo=UTC), UUID(int=1)))
    raw = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    raw[position % len(raw)] ^= 1 << bit
    refused(INTENTS, base64.urlsafe_b64encode(raw).decode().rstrip("="))


def numbers(row: int) -> tuple[int]:
    """The sort key of a number."""
    return (row,)


@given(st.integers(0, 30), st.integers(1, 10))
def test_pages_join_without_gap_or_repeat(rows: int, limit: int) -> None:
    keyset = Keyset("numbers", tuple[int], numbers)
    seen: list[int] = []
    cursor = None
    while True:
        (after,) = keyset.after(cursor) or (-1,)
        page = keyset.page([row for row in range(rows) if row > after][: limit + 1], limit)
        seen += page.items
        cursor = page.next
        if cursor is None:
            break
    assert seen == list(range(rows))
