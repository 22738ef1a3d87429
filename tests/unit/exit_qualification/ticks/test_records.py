from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.exit_qualification.ticks.records import Closed, Reduced, read_trade
from shared.contracts.discarded import Discarded
from shared.contracts.ticks import parse_tick
from shared.errors import MalformedMessage
from tests.support.trades import closed, opened, partially_closed

TICK = '{"symbol":"NSE:INFY","ltp":"%s","ts":"%s","seq":%s}'
NINE = "2026-01-13T09:15:00.123Z"


def test_a_tick_is_whole_units_and_microseconds() -> None:
    assert parse_tick((TICK % ("1520.35", NINE, 1)).encode()) == ("NSE:INFY", 15203500, 1768295700123000, 1)


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"null",
        b"\xff",
        (TICK % ("0", NINE, 1)).encode(),
        (TICK % ("-1520.35", NINE, 1)).encode(),
        (TICK % ("NaN", NINE, 1)).encode(),
        (TICK % ("0.00001", NINE, 1)).encode(),
        (TICK % ("1520.35", "2026-01-13T09:15:00", 1)).encode(),
        (TICK % ("1520.35", "1969-12-31T23:59:59Z", 1)).encode(),
        (TICK % ("1520.35", "0001-01-01T00:00:00+05:30", 1)).encode(),
        (TICK % ("1520.35", "9999-12-31T23:59:59-05:30", 1)).encode(),
        (TICK % ("1520.35", NINE, -1)).encode(),
        (TICK % ("1520.35", NINE, 2**63)).encode(),
        (TICK % ("1520.35", NINE, 1)).replace("NSE:INFY", "").encode(),
    ],
)
def test_what_is_no_tick_is_malformed(value: bytes | None) -> None:
    with pytest.raises(MalformedMessage):
        parse_tick(value)


@given(st.binary(max_size=200))
def test_no_bytes_do_more_harm_than_being_malformed(value: bytes) -> None:
    with pytest.raises(MalformedMessage):
        parse_tick(value)
    with pytest.raises(MalformedMessage):
        read_trade("io.exitflow.TradeOpened.v1", value, 0)


def test_unknown_types_are_ignored_and_missing_ones_are_malformed() -> None:
    assert read_trade("io.exitflow.TradeSplit.v1", b"nonsense", 0) is None
    with pytest.raises(MalformedMessage, match="ce_type"):
        read_trade("", opened().payload(), 0)


def test_an_event_that_was_discarded_has_nothing_to_say() -> None:
    assert read_trade(Discarded.event_type(), b"{}", 0) is None


def test_a_trade_is_read_back_as_it_was_said() -> None:
    event = opened()
    assert read_trade(event.event_type(), event.payload(), 2**62) == event


def test_closures_are_read_in_part() -> None:
    whole, part = closed(opened()), partially_closed(opened())
    assert read_trade(whole.event_type(), whole.payload(), 0) == Closed(whole.trade_id, whole.symbol)
    reduced = read_trade(part.event_type(), part.payload(), 0)
    assert reduced == Reduced(part.trade_id, part.symbol) and not isinstance(reduced, Closed)


@pytest.mark.parametrize("value", [None, b"", b"[]", b"{}", b'{"trade_id": "1", "symbol": "NSE:INFY"}', b"[" * 5000])
def test_a_closure_without_its_trade_is_malformed(value: bytes | None) -> None:
    with pytest.raises(MalformedMessage):
        read_trade("io.exitflow.TradeClosed.v1", value, 0)
