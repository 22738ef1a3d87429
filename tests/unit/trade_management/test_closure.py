"""Closing a trade by its fills: the golden numbers, partial closures, late and excess fills."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from services.trade_management.domain.closure import TradeHistory, book
from shared.contracts.vocabulary import Charge, Direction, ExitReason, Leg, ProductType, TradeStatus
from shared.ids import new_id
from tests.unit.trade_management.examples import SCHEDULE, book_each, fill, trade

LONG, SHORT, MIS, CNC = Direction.LONG, Direction.SHORT, ProductType.MIS, ProductType.CNC


@pytest.mark.parametrize(
    ("direction", "product", "days", "exit_price", "charges", "net"),
    [
        (LONG, MIS, 0, "1010", "82.72", "917.28"),
        (SHORT, MIS, 0, "990", "82.62", "917.38"),
        (LONG, CNC, 1, "1010", "223.52", "776.48"),
        (LONG, CNC, 0, "1010", "82.72", "917.28"),  # closed on its entry day: charged as MIS
    ],
)
def test_golden(direction: Direction, product: ProductType, days: int, exit_price: str, charges: str, net: str) -> None:
    booking = book(TradeHistory(trade(direction, product)), [fill(price=exit_price, days=days)], SCHEDULE)
    assert booking.after.trade.status is TradeStatus.CLOSED
    assert booking.after.gross_pnl() == Decimal(1000)
    assert booking.after.charges() == Decimal(charges)
    assert booking.after.net_pnl() == Decimal(net)


def test_a_long_pays_stamp_at_entry_and_stt_at_exit() -> None:
    closure = book(TradeHistory(trade()), [fill()], SCHEDULE).closure
    assert closure is not None
    assert closure.lines[Leg.ENTRY] == {
        Charge.BROKERAGE: Decimal("20.00"),
        Charge.EXCHANGE: Decimal("3.07"),
        Charge.SEBI: Decimal("0.10"),
        Charge.STAMP: Decimal("3.00"),
        Charge.GST: Decimal("4.17"),
    }
    assert closure.lines[Leg.EXIT][Charge.STT] == Decimal("25.00")
    assert Charge.STAMP not in closure.lines[Leg.EXIT]


def test_a_short_pays_stt_at_entry_and_stamp_at_exit() -> None:
    closure = book(TradeHistory(trade(SHORT)), [fill(price="990")], SCHEDULE).closure
    assert closure is not None
    assert closure.lines[Leg.ENTRY][Charge.STT] == Decimal("25.00")
    assert closure.lines[Leg.EXIT][Charge.STAMP] == Decimal("2.97")


def test_a_partial_fill_leaves_the_trade_open() -> None:
    booking = book(TradeHistory(trade()), [fill(40)], SCHEDULE)
    assert (booking.after.trade.status, booking.after.trade.open_quantity) == (TradeStatus.OPEN, 60)
    assert booking.closure is not None
    assert not booking.closure.final
    assert booking.closure.gross_pnl == Decimal(400)


def test_the_average_price_is_weighted_by_volume_over_all_fills() -> None:
    *_, last = book_each(trade(), [fill(40, "1010"), fill(60, "1020")])
    assert last.after.exit_price() == Decimal("1016.0000")
    assert last.after.gross_pnl() == Decimal(1600)


def test_cumulative_fills_again_change_nothing() -> None:
    first = fill(40)
    once = book(TradeHistory(trade()), [first], SCHEDULE)
    again = book(once.after, [first], SCHEDULE)
    assert (again.after, again.recorded, again.closure) == (once.after, (), None)


def test_only_the_new_ones_of_cumulative_fills_are_booked() -> None:
    first, second = fill(40), fill(60)
    once = book(TradeHistory(trade()), [first], SCHEDULE)
    rest = book(once.after, [first, second], SCHEDULE)
    assert rest.recorded == (second,)
    assert rest.closure is not None
    assert (rest.closure.nth, rest.closure.quantity, rest.closure.final) == (2, 60, True)


def test_the_same_fill_twice_in_one_report_counts_once() -> None:
    twice = fill(40)
    booking = book(TradeHistory(trade()), [twice, twice], SCHEDULE)
    assert booking.after.trade.open_quantity == 60


def test_fills_after_the_closure_are_late_and_change_nothing() -> None:
    done = book(TradeHistory(trade()), [fill()], SCHEDULE)
    late = fill(10, "1", intent_id=new_id())
    booking = book(done.after, [late], SCHEDULE)
    assert booking.recorded == (replace(late, late=True),)
    assert (booking.closure, booking.excess) == (None, 10)
    assert booking.after.net_pnl() == done.after.net_pnl()


def test_an_excess_fill_closes_the_trade_and_reports_the_excess() -> None:
    first, other = book_each(trade(), [fill(40), fill(100, "1020", intent_id=new_id())])
    assert first.excess == 0
    assert (other.after.trade.status, other.excess) == (TradeStatus.CLOSED, 40)
    assert other.closure is not None
    assert other.closure.quantity == 60
    assert other.after.gross_pnl() == Decimal(40 * 10 + 60 * 20)
    assert other.after.exit_price() == Decimal("1016.0000")


def test_the_closing_intent_and_its_reason_are_the_trades() -> None:
    stop = fill(60, "990", intent_id=new_id(), exit_reason=ExitReason.STOP_LOSS)
    *_, last = book_each(trade(), [fill(40), stop])
    assert last.closure is not None
    assert (last.closure.exit_intent_id, last.closure.exit_reason) == (stop.intent_id, ExitReason.STOP_LOSS)


def test_partial_delivery_closures_are_intraday_only_on_the_first_day() -> None:
    today, later = book_each(
        trade(LONG, CNC), [fill(50), fill(50, days=1, intent_id=new_id(), exit_reason=ExitReason.MANUAL)]
    )
    assert today.closure is not None
    assert later.closure is not None
    assert (today.closure.charged_as, later.closure.charged_as) == (MIS, CNC)
    assert today.closure.lines[Leg.ENTRY][Charge.STAMP] == Decimal("1.50")  # half of 0.003 % of 100,000
    assert later.closure.lines[Leg.ENTRY][Charge.STAMP] == Decimal("7.50")  # half of 0.015 % of 100,000
    assert later.closure.lines[Leg.ENTRY][Charge.STT] == Decimal("50.00")


def test_an_exit_stamped_before_its_entry_is_still_charged() -> None:
    booking = book(TradeHistory(trade()), [fill(days=-2)], SCHEDULE)
    assert booking.after.charges() == Decimal("82.72")
