"""Ticks, and values not to be taken for one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.contracts.ticks import Tick, TickFields, parse_tick
from shared.contracts.trades import is_symbol
from shared.errors import MalformedMessage

GOOD: dict[str, Any] = {"symbol": "NSE:INFY", "ltp": "1520.35", "ts": "2026-01-13T09:15:00.123Z", "seq": 1}
READ: TickFields = ("NSE:INFY", 15_203_500, 1_768_295_700_123_000, 1)


def parsed(**changes: Any) -> TickFields:
    return parse_tick(json.dumps({**GOOD, **changes}).encode())


def test_a_tick_is_whole_numbers() -> None:
    assert parsed() == READ
    assert parsed(other={"a": [1]}) == READ


@pytest.mark.parametrize("seq", [None, 0])
def test_a_seq_that_is_null_is_absent(seq: Any) -> None:
    without = {name: value for name, value in GOOD.items() if name != "seq"}
    assert parsed(seq=seq) == parse_tick(json.dumps(without).encode()) == (*READ[:3], 0)
    assert Tick.model_validate({**GOOD, "seq": seq}).seq == 0


@pytest.mark.parametrize(
    "symbol",
    ["NSE:NIFTY 50", "CDS:USDINR26JAN83.25CE", "NSE:M&M", "NSE:BAJAJ-AUTO", "BSE:SENSEX", "NFO:NIFTY26JAN25000PE"],
)
def test_symbols_are_what_exchanges_use(symbol: str) -> None:
    assert parsed(symbol=symbol)[0] == symbol


@pytest.mark.parametrize(
    "symbol", ["", "NSE:", "INFY", ":INFY", "nse:INFY", "NSE:infy", "NSE: INFY", "NSE:INFY ", "NSE:INFY\n", "NSE:IN;FY",
               "NSE:" + "A" * 41, "NSE:\u0663", "NSE:A\x00"],
)  # fmt: skip
def test_other_texts_are_no_symbols(symbol: str) -> None:
    assert not is_symbol(symbol)
    with pytest.raises(MalformedMessage):
        parsed(symbol=symbol)


@pytest.mark.parametrize(
    ("ts", "ts_us"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-01-13T09:15:00Z", 1_768_295_700_000_000),
        ("2026-01-13T09:15:00.1+00:00", 1_768_295_700_100_000),
        ("2026-01-13T09:15:00.123456789Z", 1_768_295_700_123_456),
    ],
)
def test_a_time_is_rfc_3339_text_in_utc(ts: str, ts_us: int) -> None:
    assert parsed(ts=ts)[2] == ts_us


@pytest.mark.parametrize(
    "ts", [None, 1768295700, 1768295700123, 1768295700.123, True, "1768295700", "1768295700123", "", "now",
           "2026-01-13", ["2026-01-13T09:15:00Z"], {},
           "2026-01-13T09:15:00", "2026-01-13 09:15:00Z", "2026-01-13T09:15Z", "20260113T091500Z",
           "2026-W03-2T09:15:00Z",
           "2026-01-13T14:45:00+05:30", "2026-01-13T09:15:00-00:00", "2026-01-13T09:15:00.Z", "2026-01-13T09:15:00Z ",
           "2026-01-13T09:15:00,5Z", "2026-13-13T09:15:00Z", "2026-02-30T09:15:00Z", "2026-01-13T25:15:00Z",
           "1969-12-31T23:59:59Z", "2200-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
           "\u0662026-01-13T09:15:00Z", "2026-01-13t09:15:00z"],
)  # fmt: skip
def test_no_other_form_of_time_is_guessed_at(ts: Any) -> None:
    with pytest.raises(MalformedMessage, match="ts"):
        parsed(ts=ts)
    with pytest.raises(ValidationError):
        Tick.model_validate({**GOOD, "ts": ts})


HOSTILE = [
    b'{"symbol":"NSE:A","ltp":1e1000000,"ts":"2026-01-13T09:15:00Z"}',
    b'{"symbol":"NSE:A","ltp":"1e1000000","ts":"2026-01-13T09:15:00Z"}',
    b'{"symbol":"NSE:A","ltp":NaN,"ts":"2026-01-13T09:15:00Z"}',
    b'{"symbol":"NSE:A","ltp":-Infinity,"ts":"2026-01-13T09:15:00Z"}',
    b'{"symbol":"NSE:A","ltp":' + b"9" * 5000 + b',"ts":"2026-01-13T09:15:00Z"}',
    b'{"symbol":"NSE:A","ltp":1,"ts":"2026-01-13T09:15:00Z","seq":' + b"9" * 5000 + b"}",
    b'{"symbol":"NSE:A","ltp":1,"ts":"2026-01-13T09:15:00Z","seq":1e999}',
    b"[" * 900_000,
    b'{"a":' * 150_000,
    b"9" * 900_000,
    b'{"symbol":"\\ud800","ltp":1,"ts":"2026-01-13T09:15:00Z"}',
    b'{"symbol":"NSE:' + b"A" * 900_000 + b'","ltp":1,"ts":"2026-01-13T09:15:00Z"}',
    b'{"symbol":"NSE:A","ltp":"' + b"1" * 900_000 + b'","ts":"2026-01-13T09:15:00Z"}',
    b'{"symbol":"NSE:A","ltp":1,"ts":"' + b"1" * 900_000 + b'"}',
    b"\xef\xbb\xbf{}",
    b"\x00",
]


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_no_bytes_do_more_than_be_malformed(value: bytes) -> None:
    with pytest.raises(MalformedMessage) as refused:
        parse_tick(value)
    assert len(str(refused.value)) < 300


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def test_non_utf_8_text_is_refused_even_in_unknown_fields() -> None:
    for value in (json.dumps(GOOD)[:-1] + ',"z":"x"}', json.dumps({**GOOD, "x": 1})):
        assert parse_tick(value.encode()) == READ
        with pytest.raises(MalformedMessage, match="not JSON"):
            parse_tick(value.encode().replace(b"x", b"\xff"))


def test_number_and_text_of_same_price_are_distinguished() -> None:
    """Results are remembered by the bytes sent; a float too large to be exact is refused after its int was read."""
    assert parsed(ltp=200_000_000_000)[1] == parsed(ltp="200000000000")[1] == 200_000_000_000 * 10_000
    with pytest.raises(MalformedMessage, match="exact as text only"):
        parsed(ltp=200_000_000_000.0)
    assert parsed(ltp=1520)[1] == parsed(ltp=1520.0)[1] == parsed(ltp="1520")[1]


PRICES = st.integers(0, 10**9).map(lambda units: f"{units / 10_000:.4f}") | st.floats(0, 1e6)


@given(st.fixed_dictionaries({}, optional={name: JSON | PRICES | st.just(value) for name, value in GOOD.items()}))
def test_a_record_is_read_as_its_contract_says_or_malformed(fields: dict[str, Any]) -> None:
    try:
        read = parse_tick(json.dumps(fields).encode())
    except MalformedMessage:
        return
    assert Tick.of(read) == Tick.model_validate(fields)
    assert parse_tick(Tick.of(read).model_dump_json().encode()) == read
