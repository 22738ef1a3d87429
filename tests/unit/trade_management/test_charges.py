"""Charges: rounding, caps, effective dates, and the rules for every way of closing in parts."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from services.trade_management.domain.charges import (
    ChargeSchedule,
    Lines,
    Market,
    Segment,
    Side,
    added,
    charged_as,
    difference,
    entry_share,
    market_of,
    total,
)
from services.trade_management.domain.closure import TradeHistory, book
from services.trade_management.domain.fills import Fill
from services.trade_management.domain.trade import Trade
from shared.contracts.vocabulary import Charge, Direction, Leg, ProductType, TradeStatus
from shared.ids import new_id
from tests.unit.trade_management.examples import SCHEDULE, SINCE, book_each, fill, trade

MIS, CNC = ProductType.MIS, ProductType.CNC
NSE = Market("NSE", Segment.EQUITY)

prices = st.integers(1, 10_000_000).map(lambda units: Decimal(units).scaleb(-2))
parts = st.lists(st.tuples(st.integers(1, 5000), prices), min_size=1, max_size=8)
positions = st.sampled_from([(Direction.LONG, MIS, 0), (Direction.SHORT, MIS, 0), (Direction.LONG, CNC, 1)])
amounts = st.integers(0, 10_000_000).map(lambda paisa: Decimal(paisa).scaleb(-2))


def _lines(product: ProductType, day: date, side: Side, value: Decimal, schedule: ChargeSchedule = SCHEDULE) -> Lines:
    lines = schedule.order_lines(NSE, product, day, side, value)
    assert lines is not None
    return lines


def _mis(side: Side, value: str) -> Lines:
    return _lines(MIS, SINCE, side, Decimal(value))


@pytest.mark.parametrize(("value", "brokerage"), [("1000", "0.30"), ("66666.67", "20.00"), ("10000000", "20.00")])
def test_brokerage_is_a_share_of_the_order_with_maximum(value: str, brokerage: str) -> None:
    assert _mis(Side.BUY, value)[Charge.BROKERAGE] == Decimal(brokerage)


@pytest.mark.parametrize(("value", "stt"), [("5999.9999", "1.00"), ("6000", "2.00"), ("101000", "25.00")])
def test_stt_is_rounded_to_the_rupee_half_up(value: str, stt: str) -> None:
    assert _mis(Side.SELL, value)[Charge.STT] == Decimal(stt)


def test_lines_of_nothing_are_left_out() -> None:
    assert Charge.STT not in _mis(Side.SELL, "1999")
    assert _mis(Side.SELL, "0") == {}


def test_gst_is_on_brokerage_exchange_and_sebi() -> None:
    lines = _mis(Side.BUY, "100000")
    assert lines[Charge.GST] == Decimal("4.17")  # 18 % of 20.00 + 3.07 + 0.10
    assert set(lines) == {Charge.BROKERAGE, Charge.EXCHANGE, Charge.SEBI, Charge.STAMP, Charge.GST}


def test_the_depository_line_is_off_by_default_and_optional() -> None:
    day, value = SINCE, Decimal(100_000)
    assert Charge.DEPOSITORY not in _lines(CNC, day, Side.SELL, value)
    on = ChargeSchedule(tuple(replace(rate, enabled=True) for rate in SCHEDULE.rates))
    assert _lines(CNC, day, Side.SELL, value, on)[Charge.DEPOSITORY] == Decimal("15.34")
    assert Charge.DEPOSITORY not in _lines(CNC, day, Side.BUY, value, on)


def test_a_row_holds_from_first_until_exclusive_last_day() -> None:
    cheaper = date(2026, 4, 1)
    old = [replace(rate, effective_to=cheaper) for rate in SCHEDULE.rates]
    new = [replace(rate, effective_from=cheaper, rate=rate.rate / 2) for rate in SCHEDULE.rates]
    schedule = ChargeSchedule((*old, *new))
    before = _lines(MIS, date(2026, 3, 31), Side.SELL, Decimal(100_000), schedule)
    after = _lines(MIS, cheaper, Side.SELL, Decimal(100_000), schedule)
    assert (before[Charge.STT], after[Charge.STT]) == (Decimal("25.00"), Decimal("13.00"))


def test_charges_of_a_day_without_rates_are_unknown() -> None:
    assert SCHEDULE.order_lines(NSE, MIS, date(2020, 1, 1), Side.BUY, Decimal(1)) is None


def test_trade_before_first_rates_closes_with_unknown_charges() -> None:
    opened = trade(entered_on=SINCE - timedelta(days=1))
    part, rest = book_each(opened, [fill(40), fill(60)])
    assert part.closure is not None and rest.closure is not None
    assert (part.closure.charges, part.closure.net_pnl, part.closure.gross_pnl) == (None, None, Decimal(400))
    assert set(part.closure.lines) == {Leg.EXIT}  # those of the exit's day are known
    assert rest.after.trade.status is TradeStatus.CLOSED
    assert (rest.after.charges(), rest.after.net_pnl(), rest.after.gross_pnl()) == (None, None, Decimal(1000))


@given(
    st.dictionaries(st.sampled_from(Charge), amounts, min_size=1), st.lists(st.integers(1, 500), min_size=1, max_size=9)
)
def test_entry_shares_add_up_exactly_and_are_never_negative(lines: Lines, closed: list[int]) -> None:
    quantity, before, booked = sum(closed), 0, []
    for part in closed:
        booked.append(entry_share(lines, before, before + part, quantity))
        before += part
    assert total(booked) == total([lines])
    assert all(amount >= 0 for share in booked for amount in share.values())


@given(positions, prices, parts)
def test_one_order_costs_the_same_however_its_fills_arrive(
    position: tuple[Direction, ProductType, int], entry: Decimal, split: list[tuple[int, Decimal]]
) -> None:
    opened, fills = _opened(position, entry, split)
    at_once = book(TradeHistory(opened), fills, SCHEDULE).after
    *_, last = book_each(opened, fills)
    assert last.after.trade.status is TradeStatus.CLOSED
    assert last.after.charges() == at_once.charges()
    assert last.after.gross_pnl() == at_once.gross_pnl()
    assert last.after.exit_price() == at_once.exit_price()


@given(positions, prices, parts)
def test_every_line_of_every_closure_is_a_cost(
    position: tuple[Direction, ProductType, int], entry: Decimal, split: list[tuple[int, Decimal]]
) -> None:
    for booking in book_each(*_opened(position, entry, split)):
        assert booking.closure is not None
        lines = booking.closure.lines
        assert all(amount > 0 for of_leg in lines.values() for amount in of_leg.values())
        assert booking.closure.charges == total(lines.values())
        assert booking.closure.net_pnl == booking.closure.gross_pnl - booking.closure.charges


@given(positions, prices, parts)
def test_separate_orders_are_charged_in_full_and_share_the_entry(
    position: tuple[Direction, ProductType, int], entry: Decimal, split: list[tuple[int, Decimal]]
) -> None:
    opened, fills = _opened(position, entry, split)
    bookings = book_each(opened, [structs.replace(each, intent_id=new_id()) for each in fills])
    closures = [booking.closure for booking in bookings if booking.closure]
    side = Side.BUY if opened.direction is Direction.LONG else Side.SELL
    other = Side.SELL if side is Side.BUY else Side.BUY
    product, day = opened.product_type, opened.entered_on
    whole_entry = _lines(product, day, side, opened.entry_value)
    exits = [_lines(product, day, other, each.value) for each in fills]
    assert total(closure.lines[Leg.ENTRY] for closure in closures) == total([whole_entry])
    assert [closure.lines[Leg.EXIT] for closure in closures] == exits


def test_a_difference_has_only_what_grew() -> None:
    before = {Charge.BROKERAGE: Decimal(20), Charge.SEBI: Decimal("0.10")}
    after = {Charge.BROKERAGE: Decimal(20), Charge.SEBI: Decimal("0.30"), Charge.STAMP: Decimal(1)}
    assert difference(after, before) == {Charge.SEBI: Decimal("0.20"), Charge.STAMP: Decimal(1)}


def _opened(
    position: tuple[Direction, ProductType, int], entry: Decimal, split: list[tuple[int, Decimal]]
) -> tuple[Trade, list[Fill]]:
    direction, product, days = position
    quantity = sum(part for part, _ in split)
    fills = [fill(part, price, days=days, broker_trade_id=f"{nth:03}") for nth, (part, price) in enumerate(split)]
    return trade(direction, product, quantity=quantity, entry=entry), fills


def test_charges_of_two_orders_are_added_line_by_line() -> None:
    one = {Charge.BROKERAGE: Decimal(20), Charge.SEBI: Decimal("0.10")}
    other = {Charge.BROKERAGE: Decimal(5), Charge.GST: Decimal(1)}
    assert added(one, other) == {Charge.BROKERAGE: Decimal(25), Charge.SEBI: Decimal("0.10"), Charge.GST: Decimal(1)}


def test_an_order_without_value_costs_no_flat_brokerage() -> None:
    flat = ChargeSchedule(tuple(replace(rate, flat=Decimal(20)) for rate in SCHEDULE.rates))
    assert flat.order_lines(NSE, MIS, SINCE, Side.SELL, Decimal(0)) == {}


@pytest.mark.parametrize(
    ("product", "days", "expected"),
    [(CNC, 0, MIS), (CNC, 1, CNC), (ProductType.NRML, 0, ProductType.NRML), (MIS, 1, MIS)],
)
def test_only_delivery_closed_on_its_entry_day_is_intraday(
    product: ProductType, days: int, expected: ProductType
) -> None:
    assert charged_as(product, SINCE, SINCE + timedelta(days=days)) is expected


@pytest.mark.parametrize(
    ("symbol", "market"),
    [
        ("NSE:INFY", NSE),
        ("NFO:NIFTY26JANFUT", Market("NSE", Segment.FUTURES)),
        ("NFO:NIFTY26JAN25000CE", Market("NSE", Segment.OPTIONS)),
        ("NFO:COTTON26JANFUT", Market("NSE", Segment.FUTURES)),
        ("MCX:COTTON26JANFUT", Market("MCX agricultural", Segment.FUTURES)),
        ("MCX:GOLD26JANFUT", Market("MCX", Segment.FUTURES)),
        ("CDS:USDINR26JANFUT", Market("CDS", Segment.FUTURES)),
        ("CDS:EURUSD26JANFUT", Market("CDS", Segment.EQUITY)),
    ],
)
def test_a_symbol_is_charged_by_its_exchange_and_kind(symbol: str, market: Market) -> None:
    assert market_of(symbol) == market
