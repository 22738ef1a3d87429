"""Orders fill as their terms and plans allow, and positions are the sums of entries and fills."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from services.paper_broker.book_time import from_ms
from services.paper_broker.broker import PaperBroker
from services.paper_broker.faults import CancelOrder, DelayFill, FaultRequest, FillAfterCancel, PartialFill, Reject
from services.paper_broker.gtt_desk import GttDesk
from services.paper_broker.gtts import GttLeg, GttRequest
from services.paper_broker.kite_errors import KiteError
from services.paper_broker.ledger import Ledger
from services.paper_broker.matching import (
    allowed,
    execute,
    filled,
    is_triggered,
    next_stage_ms,
    postponed,
    triggered,
)
from services.paper_broker.orders import MAX_VALUE_UNITS, Execution, Order, OrderRequest, Stage, placed
from services.paper_broker.positions import Entry
from services.paper_broker.quotes import PriceTick

EXAMPLES = max(30, int(os.environ.get("FUZZ_EXAMPLES", "0")))
NOON_MS = 1_768_284_000_000
PRICES = st.integers(9_900_000, 10_100_000)
QUANTITIES = st.integers(1, 200)
SIDES = st.sampled_from(["BUY", "SELL"])


def request(quantity: int = 100, side: Any = "SELL", limit_units: int | None = None) -> OrderRequest:
    """An order of INFY; MARKET without a limit."""
    order_type: Any = "MARKET" if limit_units is None else "LIMIT"
    return OrderRequest("NSE:INFY", side, "MIS", order_type, "DAY", quantity, limit_units, -10_000, "TAG")


def stop_request(
    quantity: int, side: Any, trigger_units: int, limit_units: int | None = None, tag: str = "STOP"
) -> OrderRequest:
    """A stop order of INFY: SL-M without a limit."""
    order_type: Any = "SL-M" if limit_units is None else "SL"
    return OrderRequest("NSE:INFY", side, "MIS", order_type, "DAY", quantity, limit_units, -10_000, tag, trigger_units)


def order(**terms: Any) -> Order:
    """The same, accepted."""
    return placed(request(**terms), "PAPER", 1, NOON_MS)


@given(SIDES, PRICES, PRICES)
def test_a_limit_order_never_trades_worse_than_its_limit(side: str, limit: int, last: int) -> None:
    execution = execute(order(side=side, limit_units=limit), (), last, NOON_MS)
    sign = 1 if side == "BUY" else -1
    assert (execution is not None) == (sign * (limit - last) >= 0)
    assert execution is None or execution.price_units == last


@given(SIDES, PRICES, PRICES)
def test_a_stop_trades_only_at_or_beyond_its_trigger(side: str, trigger: int, last: int) -> None:
    waiting = placed(stop_request(100, side, trigger), "PAPER", 1, NOON_MS)
    sign = 1 if side == "BUY" else -1
    assert is_triggered(waiting, last) == (sign * (last - trigger) >= 0)
    assert execute(waiting, (), last, NOON_MS) is None
    execution = execute(triggered(waiting, NOON_MS), (), last, NOON_MS)
    assert execution is not None and execution.price_units == last


@given(QUANTITIES, st.lists(st.tuples(st.integers(0, 100), st.integers(0, 300)), max_size=4), st.integers(0, 120))
def test_a_plan_is_monotonic_and_bounded_by_the_order(quantity: int, stages: list[tuple[int, int]], at: int) -> None:
    plan = tuple(Stage(NOON_MS + ms, most) for ms, most in stages)
    now, later = allowed(order(quantity=quantity), plan, NOON_MS + at), allowed(order(quantity=quantity), plan, 2**50)
    assert 0 <= now <= later <= quantity
    following = next_stage_ms(plan, NOON_MS + at)
    assert following is None or following > NOON_MS + at


def test_an_order_waits_for_the_first_of_the_later_stages() -> None:
    plan = (Stage(NOON_MS + 10, 30), Stage(NOON_MS + 30, 100), Stage(NOON_MS + 20, 50))
    assert [next_stage_ms(plan, NOON_MS + at) for at in (9, 10, 20, 30)] == [
        NOON_MS + 10,
        NOON_MS + 20,
        NOON_MS + 30,
        None,
    ]
    assert next_stage_ms(postponed(plan, 5), NOON_MS + 10) == NOON_MS + 15


def test_nothing_is_allowed_before_the_first_stage() -> None:
    plan = (Stage(NOON_MS + 10, 30),)
    assert [allowed(order(), plan, NOON_MS + at) for at in (9, 10)] == [0, 30]


def test_an_order_trades_what_its_fills_and_plan_leave() -> None:
    partly = replace(order(quantity=100), filled_quantity=30)
    assert execute(partly, (), 10_000_000, NOON_MS) == Execution(70, 10_000_000, NOON_MS)
    plan = (Stage(NOON_MS, 50),)
    assert execute(partly, plan, 10_000_000, NOON_MS) == Execution(20, 10_000_000, NOON_MS)
    assert execute(replace(partly, filled_quantity=50), plan, 10_000_000, NOON_MS) is None


def test_only_a_waiting_stop_is_triggered() -> None:
    waiting = placed(stop_request(100, "SELL", 10_000_000), "PAPER", 1, NOON_MS)
    assert is_triggered(waiting, 10_000_000)
    assert not is_triggered(triggered(waiting, NOON_MS), 10_000_000)
    assert not is_triggered(replace(waiting, trigger_units=None), 10_000_000)
    assert not is_triggered(waiting, None)


def test_nothing_trades_without_price_or_beyond_the_value_limit() -> None:
    assert execute(order(), (), None, NOON_MS) is None
    largest = MAX_VALUE_UNITS // 1000
    assert execute(order(quantity=1000), (), largest, NOON_MS) == Execution(1000, largest, NOON_MS)
    assert execute(order(quantity=1000), (), largest + 1, NOON_MS) is None


def test_the_average_is_the_volume_weighted_price_half_up() -> None:
    plan = (Stage(NOON_MS, 1), Stage(NOON_MS + 1, 2))
    first = execute(order(quantity=2), plan, 10_000_000, NOON_MS)
    assert first is not None
    partly = filled(order(quantity=2), first)
    second = execute(partly, plan, 10_000_001, NOON_MS + 1)
    assert second is not None
    assert filled(partly, second).average_units == 10_000_001


class FakeClock:
    """A clock standing still until it is moved."""

    def __init__(self, ms: int = NOON_MS) -> None:
        self.ms = ms

    def now(self) -> Any:
        """The moment it stands at."""
        return from_ms(self.ms)

    def monotonic(self) -> float:
        """The same in seconds."""
        return self.ms / 1000


EVE_MS = 1_768_264_190_000
"""Ten seconds before the book of a day is gone (06:00 in India)."""


@pytest.mark.parametrize(
    "effect",
    [DelayFill(ms=60_000), PartialFill(quantity=1, rest_after_ms=60_000), CancelOrder(after_ms=60_000)],
)
def test_nothing_happens_to_an_order_after_its_day(tmp_path: Path, effect: Any) -> None:
    clock, ledger = FakeClock(EVE_MS), Ledger(tmp_path)
    broker = PaperBroker(ledger, clock)
    with ledger.write() as books:
        books.faults.add("PAPER", FaultRequest(effect=effect))
    number = broker.place("PAPER", request()).order_number
    broker.take_market([PriceTick("NSE:INFY", 10_000_000, EVE_MS * 1000, 1)])
    with ledger.read() as books:
        before = books.orders.numbered(number)
    clock.ms += 120_000
    broker.fill_due()
    with ledger.read() as books:
        assert books.orders.numbered(number) == before
    ledger.close()


class BrokerUnderRandomUse(RuleBasedStateMachine):
    """Any sequence of orders, faults, ticks, entries, cancels and waits leaves consistent books."""

    def __init__(self) -> None:
        super().__init__()
        self._directory = TemporaryDirectory()
        self._clock = FakeClock()
        self._ledger = Ledger(Path(self._directory.name))
        self._broker = PaperBroker(self._ledger, self._clock)
        self._entered: dict[str, int] = {}
        self._filled_before: dict[int, int] = {}
        self._numbers: list[int] = []
        self._triggers: dict[int, int] = {}
        self._gtts = GttDesk(self._ledger, self._clock)

    def teardown(self) -> None:
        self._ledger.close()
        self._directory.cleanup()

    @rule(quantity=QUANTITIES, side=SIDES, limit=st.none() | PRICES)
    def place(self, quantity: int, side: str, limit: int | None) -> None:
        self._numbers.append(self._broker.place("PAPER", request(quantity, side, limit)).order_number)

    @rule(quantity=QUANTITIES, side=SIDES, trigger=PRICES, limit=st.none() | PRICES)
    def place_a_stop(self, quantity: int, side: str, trigger: int, limit: int | None) -> None:
        with self._ledger.read() as books:
            last = books.market.last_units("NSE:INFY")
        is_met = last is not None and (last <= trigger if side == "SELL" else last >= trigger)
        try:
            accepted = self._broker.place("PAPER", stop_request(quantity, side, trigger, limit))
        except KiteError:
            assert is_met
        else:
            assert not is_met
            self._numbers.append(accepted.order_number)
            self._triggers[accepted.order_number] = trigger

    @rule(lower=PRICES, upper=PRICES, quantity=QUANTITIES, side=SIDES)
    def place_two_triggers(self, lower: int, upper: int, quantity: int, side: Any) -> None:
        legs = (
            GttLeg(lower, "at_or_below", side, "MIS", quantity, lower),
            GttLeg(upper, "at_or_above", side, "MIS", quantity, upper),
        )
        with contextlib.suppress(KiteError):
            self._gtts.place("PAPER", GttRequest("NSE:INFY", "two-leg", (lower + upper) // 2, legs))

    @rule(
        effect=st.one_of(
            st.builds(DelayFill, ms=st.integers(0, 50)),
            st.builds(PartialFill, quantity=st.integers(0, 150), rest_after_ms=st.none() | st.integers(0, 50)),
            st.builds(Reject),
            st.builds(CancelOrder, after_ms=st.integers(0, 50)),
            st.builds(FillAfterCancel, after_ms=st.integers(0, 50), quantity=st.none() | st.integers(1, 50)),
        )
    )
    def inject(self, effect: Any) -> None:
        with self._ledger.write() as books:
            books.faults.add("PAPER", FaultRequest(effect=effect))

    @rule(price=PRICES)
    def tick(self, price: int) -> None:
        self._clock.ms += 1
        self._broker.take_market([PriceTick("NSE:INFY", price, self._clock.ms * 1000, 0)])

    @rule(ms=st.integers(1, 60))
    def wait(self, ms: int) -> None:
        self._clock.ms += ms
        self._broker.fill_due()

    @rule(trade=st.sampled_from(["a", "b", "c", "d"]), quantity=st.integers(-200, 200).filter(bool), price=PRICES)
    def enter(self, trade: str, quantity: int, price: int) -> None:
        self._entered.setdefault(trade, quantity)
        self._broker.take_market([], [Entry(trade, "PAPER", "NSE:INFY", "MIS", quantity, price, self._clock.ms)])

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        if not self._numbers:
            return
        number = data.draw(st.sampled_from(self._numbers))
        open_before = self._orders()[number].is_working
        try:
            self._broker.cancel("PAPER", number)
            assert open_before
        except KiteError:
            assert not open_before

    @invariant()
    def fills_stay_within_orders_and_never_shrink(self) -> None:
        for number, known in self._orders().items():
            with self._ledger.read() as books:
                fills = books.orders.fills_of_order(number)
            assert sum(fill.quantity for fill in fills) == known.filled_quantity <= known.quantity
            assert sum(fill.quantity * fill.price_units for fill in fills) == known.filled_value
            assert known.filled_quantity >= self._filled_before.get(number, 0)
            self._filled_before[number] = known.filled_quantity

    @invariant()
    def the_position_is_what_entries_and_fills_add_up_to(self) -> None:
        signed = sum(known.sign * known.filled_quantity for known in self._orders().values())
        with self._ledger.read() as books:
            positions = books.positions.of_account("PAPER", "2026-01-13")
        held = sum(position.net.net_quantity for position in positions)
        assert held == signed + sum(self._entered.values())

    @invariant()
    def a_stop_that_waits_has_no_fill_and_the_market_has_not_reached_it(self) -> None:
        with self._ledger.read() as books:
            last = books.market.last_units("NSE:INFY")
        for number, trigger in self._triggers.items():
            known = self._orders()[number]
            if known.status == "TRIGGER PENDING":
                assert known.filled_quantity == 0
                assert last is None or not (last <= trigger if known.side == "SELL" else last >= trigger)

    @invariant()
    def a_trigger_fires_once_and_its_order_is_in_the_book(self) -> None:
        orders = self._orders()
        for gtt in self._gtts.all("PAPER"):
            fired = [leg for leg in gtt.legs if leg.triggered_ms is not None]
            assert len(fired) == (1 if gtt.status == "triggered" else 0)
            assert all(leg.order_number in orders for leg in fired)

    def _orders(self) -> dict[int, Order]:
        with self._ledger.read() as books:
            return {known.number: known for known in books.orders.of_account("PAPER", NOON_MS - 1000)}


TestBrokerUnderRandomUse = BrokerUnderRandomUse.TestCase
TestBrokerUnderRandomUse.settings = settings(max_examples=EXAMPLES)
