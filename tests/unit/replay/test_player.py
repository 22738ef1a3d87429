"""Replays of a tape through a book."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from services.exit_qualification.domain.square_off import SquareOff
from services.replay.player import Played, Terms, play
from services.replay.report import totals
from shared.contracts.vocabulary import Direction, ExitReason, ProductType
from shared.exit_rules.plan import ExitPlan
from tests.unit.replay.examples import INFY, OPENING, TCS, booked, tick

SHORT = {"direction": Direction.SHORT, "plan": {"target": "990", "stop_loss": "1020"}}


def figures(played: Played) -> list[tuple[str, str, str, str]]:
    """Return reason, fill price, charges and net P&L of each exit."""
    return [
        (each.exit_reason.value, f"{each.fill_price:.2f}", f"{each.charges:.2f}", f"{each.net_pnl:.2f}")
        for each in played.exits
    ]


@pytest.mark.parametrize(
    ("trade", "ticks", "expected"),
    [
        ({}, [tick(1, 1010)], ("TARGET", "1010.00", "82.72", "917.28")),
        (SHORT, [tick(1, 990)], ("TARGET", "990.00", "82.62", "917.38")),
        (
            {"product_type": ProductType.CNC},
            [tick(1, 1000), tick(24 * 3600, 1010)],
            ("TARGET", "1010.00", "223.52", "776.48"),
        ),
        ({}, [tick(1, 1000), tick(2, "988.35")], ("STOP_LOSS", "988.35", "82.63", "-1247.63")),
    ],
    ids=["long", "short", "delivery", "gap through the stop"],
)
def test_exits_have_their_fills_charges_and_net_to_the_paisa(
    trade: dict[str, Any], ticks: list[Any], expected: tuple[str, str, str, str]
) -> None:
    assert figures(play([booked(**trade)], ticks)) == [expected]


def test_trade_is_judged_by_ticks_since_entry() -> None:
    late = booked(entered_at=OPENING + timedelta(seconds=2))
    played = play([late], [tick(1, 1010), tick(1.999, 1010), tick(2, 1005), tick(3, 1011)])
    assert [each.detected_price for each in played.exits] == [Decimal(1011)]


def test_a_trade_exits_once() -> None:
    assert len(play([booked()], [tick(1, 1010), tick(2, 1010), tick(3, 980)]).exits) == 1


def test_the_clock_exits_at_its_deadline_at_the_price_before() -> None:
    held = booked(plan={"max_hold_s": 60})
    (exit_,) = play([held], [tick(1, 1001), tick(59, 1002), tick(61, 900)]).exits
    assert (exit_.exit_reason, exit_.filled_at, exit_.fill_price) == (
        ExitReason.TIME, OPENING + timedelta(seconds=60), Decimal(1002)
    )  # fmt: skip


def test_square_off_counts_on_entry_day_despite_later_tick() -> None:
    terms = Terms(square_off=SquareOff({ProductType.MIS: OPENING.time().replace(hour=15)}))
    trade = booked(plan={"square_off": True})
    (exit_,) = play([trade], [tick(1, 1003), tick(24 * 3600, 900)], terms).exits
    assert (exit_.fill_price, exit_.filled_at.astimezone(OPENING.tzinfo).hour) == (Decimal(1003), 15)


def test_deadline_after_last_symbol_tick_counts_while_tape_continues() -> None:
    trades = [booked(plan={"max_hold_s": 60}), booked(2, symbol=TCS)]
    for book in (trades, trades[:1]):
        played = play(book, [tick(1, 1001), tick(60, 1000, TCS)])
        assert [each.exit_reason for each in played.exits] == [ExitReason.TIME]
    assert [each.trade.symbol for each in play(trades, [tick(1, 1001), tick(59, 1000, TCS)]).open] == [INFY, TCS]


def test_symbols_may_come_one_after_the_other() -> None:
    infy, tcs = [tick(1, 1001), tick(100, 1010)], [tick(2, 1000, TCS), tick(50, 990, TCS)]
    trades = [booked(plan={"target": "1010", "max_hold_s": 99}), booked(2, symbol=TCS)]
    blocks = play(trades, [*infy, *tcs])
    assert blocks == play(trades, sorted(infy + tcs, key=lambda each: each.ts_us))
    assert [each.trade.symbol for each in blocks.exits] == [TCS, INFY]


def test_late_order_trades_at_later_price() -> None:
    ticks = [tick(1, 1010), tick(1.2, 1006), tick(1.4, 1004), tick(9, 1020)]
    (exit_,) = play([booked()], ticks, Terms(latency_ms=300)).exits
    assert (exit_.detected_price, exit_.fill_price) == (Decimal(1010), Decimal(1006))
    assert exit_.filled_at == OPENING + timedelta(seconds=1.3)


def test_late_order_at_tape_end_does_not_trade() -> None:
    assert [each.trade.open_quantity for each in play([booked()], [tick(1, 1010)], Terms(latency_ms=300)).open] == [100]


def test_stale_ticks_and_those_of_other_symbols_are_counted() -> None:
    played = play([booked()], [tick(2, 1001), tick(1, 1010), tick(3, 1, TCS)])
    assert (played.exits, played.ticks, played.stale, played.others) == ((), 2, 1, 1)


@pytest.mark.parametrize(
    ("plan", "prices", "fill"),
    [
        ({"target": "1010"}, [1000, 998, 1015, 1012], "1010.00"),
        ({"stop_loss": "990"}, [1000, 980, 1001, 1000], "990.00"),
        ({"stop_loss": "990"}, [985, 980, 991, 990], "985.00"),
        ({"target": "1010"}, [1012, 1012, 1015, 1014], "1012.00"),
        ({"trailing_stop": {"amount": "5"}}, [1000, 1000, 1020, 1001], "1015.00"),
        ({"bricks": {"size": "4", "reversal": 1}}, [1000, 990, 1000, 1000], "990.00"),
    ],
    ids=["target", "stop", "opening below the stop", "opening above the target", "trail", "without a level"],
)
def test_a_candle_passes_every_price_on_its_way(plan: dict[str, Any], prices: list[int], fill: str) -> None:
    ticks = [tick(1, price, seq=nth, between=nth > 0) for nth, price in enumerate(prices)]
    assert [f"{each.fill_price:.2f}" for each in play([booked(plan=plan)], ticks).exits] == [fill]


def test_legs_exit_own_quantity_and_move_remaining_stop() -> None:
    plan = {
        "targets": [{"price": "1010", "quantity": 40}, {"price": "1020", "percent": "30"}],
        "after_leg": {"1": {"stop": "break_even"}},
        "stop_loss": "990",
    }
    trade = replace(booked(), plan=ExitPlan.model_validate(plan))
    played = play([trade], [tick(1, 1012), tick(2, 1021), tick(3, 1001), tick(4, 1000), tick(5, 1030)])
    assert [(each.exit_reason.value, each.leg, each.quantity, int(each.fill_price)) for each in played.exits] == [
        ("TARGET", 1, 40, 1012), ("TARGET", 2, 30, 1021), ("STOP_LOSS", None, 30, 1000)
    ]  # fmt: skip
    at_once = play([trade], [tick(1, 1012), tick(1, 1000, seq=1)])
    assert [each.leg for each in at_once.exits] == [1, None]
    both = play([trade], [tick(1, 1025), tick(2, 980)])
    assert [(each.leg, each.quantity) for each in both.exits] == [(1, 40), (2, 30), (None, 30)]


def test_totals_sum_up_and_the_drawdown_is_the_largest_fall() -> None:
    trades = [booked(number, entered_at=OPENING + timedelta(seconds=10 * number)) for number in range(1, 5)]
    ticks = [tick(11, 1010), tick(21, 989), tick(31, 989), tick(41, 1010)]
    sums = totals(play(trades, ticks))
    assert (sums.exits, sums.winners, sums.losers, sums.open) == (4, 2, 2, 0)
    gain, loss = Decimal("917.28"), Decimal("1100") + Decimal("82.65")
    assert sums.max_drawdown == 2 * loss
    assert sums.net_pnl == 2 * gain - 2 * loss == sums.gross_pnl - sums.charges
