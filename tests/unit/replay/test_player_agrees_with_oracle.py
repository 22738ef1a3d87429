"""A replay exits as the brute-force engine does, walked through time millisecond by millisecond."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from services.replay.book import BookedTrade
from services.replay.player import ReplayedExit, play
from services.replay.tape.recorded import RecordedTick
from services.trade_management.domain.trade import Trade
from shared.clock import trading_day
from shared.contracts.vocabulary import Direction, ExitReason, ProductType
from shared.instants import epoch_ms, epoch_us
from shared.money import from_units, to_units
from tests.unit.exit_qualification import oracle
from tests.unit.exit_qualification.test_engine_agrees_with_oracle import plans
from tests.unit.replay.examples import INFY, OPENING, TCS

Exit = tuple[UUID, ExitReason, tuple[int | None, ...], Decimal | None, int]
"""The first exit of a trade, with its legs."""

trades = st.builds(
    lambda number, symbol, direction, entry, after_ms, plan: BookedTrade(
        Trade(
            trade_id=UUID(int=number),
            symbol=symbol,
            direction=direction,
            product_type=ProductType.MIS,
            user_broker_id="paper",
            quantity=100,
            open_quantity=100,
            entry_price=from_units(entry),
            entered_at=OPENING + timedelta(milliseconds=after_ms),
            entered_on=trading_day(OPENING),
        ),
        plan,
    ),
    st.integers(1, 99),
    st.sampled_from([INFY, TCS]),
    st.sampled_from(Direction),
    st.integers(10, 12),
    st.integers(0, 3000),
    plans(),
)
ticks = st.builds(
    lambda symbol, price, after_us, seq: RecordedTick(1, symbol, price, epoch_us(OPENING) + after_us, seq),
    st.sampled_from([INFY, TCS]),
    st.integers(1, 24),
    st.integers(0, 5000).flatmap(lambda ms: st.sampled_from([ms * 1000, ms * 1000 + 1])),
    st.integers(0, 1),
)


def by_brute_force(book: Sequence[BookedTrade], tape: Sequence[RecordedTick]) -> list[Exit]:
    """Return the first exit of every trade: at each millisecond entries, then ticks, then the clock."""
    engine = oracle.BruteForceEngine()
    last_ms = max((each.at_ms for each in tape), default=0)
    told = [
        oracle.Trade(
            trade_id=each.trade.trade_id,
            symbol=each.trade.symbol,
            direction=each.trade.direction,
            entry=to_units(each.trade.entry_price),
            entered_at_ms=epoch_ms(each.trade.entered_at),
            plan=each.plan,
        )
        for each in book
        if any(tick.symbol == each.trade.symbol for tick in tape)
    ]
    ends = {each.entered_at_ms + 1000 * each.plan.max_hold_s for each in told if each.plan.max_hold_s is not None}
    moments = {each.entered_at_ms for each in told} | {each.at_ms for each in tape} | ends
    exits: list[Exit] = []

    def leave(found: Sequence[oracle.Found]) -> None:
        for trade_id, candidates in found:
            reason, first, price, at_us = candidates[0]
            legs = tuple(leg for each, leg, *_ in candidates if each is reason and (leg is None) == (first is None))
            exits.append((trade_id, reason, legs, None if price is None else from_units(price), at_us))
            engine.remove_trade(trade_id)

    for now_ms in sorted(each for each in moments if each <= last_ms):
        for trade in told:
            if trade.entered_at_ms == now_ms:
                leave(engine.add_trade(trade))
        for tick in tape:
            if tick.at_ms == now_ms:
                leave(engine.on_tick(tick.symbol, tick.price, tick.ts_us, tick.seq, tick.at_ms)[1])
        leave(engine.on_clock(now_ms))
    return sorted(exits, key=_by_trade)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(trades, min_size=1, max_size=6, unique_by=lambda each: each.trade.trade_id),
    st.lists(ticks, min_size=1, max_size=15),
)
def test_a_replay_exits_as_the_oracle_does(book: list[BookedTrade], found: list[RecordedTick]) -> None:
    tape = sorted(found, key=lambda each: each.at_ms)
    of_trade: dict[UUID, list[ReplayedExit]] = defaultdict(list)
    for each in play(book, tape).exits:
        of_trade[each.trade.trade_id].append(each)
    exits = [
        (trade_id, first.exit_reason, _first_legs(found), first.detected_price, epoch_us(first.detected_at))
        for trade_id, found in of_trade.items()
        for first in found[:1]
    ]
    assert sorted(exits, key=_by_trade) == by_brute_force(book, tape)


def _first_legs(exits: Sequence[ReplayedExit]) -> tuple[int | None, ...]:
    """Return the legs of the first tick with an exit; ticks of one time differ in their prices."""
    return tuple(each.leg for each in exits if _decision(each) == _decision(exits[0]))


def _decision(each: ReplayedExit) -> tuple[object, ...]:
    return each.exit_reason, each.detected_at, each.detected_price


def _by_trade(each: Exit) -> UUID:
    return each[0]
