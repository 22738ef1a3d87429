from __future__ import annotations

import os
from collections.abc import Iterable
from decimal import Decimal
from functools import partial
from uuid import UUID

import pytest
from hypothesis import Phase, assume, find, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from services.exit_qualification.domain.candidates import ExitCandidates
from services.exit_qualification.domain.circuit_limits import CircuitLimits
from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.domain.level_index import RuleKey
from services.exit_qualification.domain.open_hours import whole_day
from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.domain.symbol_book import SymbolState
from shared.contracts.vocabulary import Direction, ExitReason, ProductType
from shared.exit_rules.plan import ExitPlan
from shared.exit_rules.registry import rule_of, start_rules
from shared.exit_rules.rule import Position, Saved
from shared.money import from_units
from shared.tick_clock import TickOrder
from tests.unit.exit_qualification.oracle import DAY_US, EVERY_SLOT, IST_US, BruteForceEngine, Found, Slot, Trade

pytestmark = pytest.mark.long

EXAMPLES = max(60, int(os.environ.get("FUZZ_EXAMPLES", "0")))
SYMBOLS = ("NSE:INFY", "NSE:TCS")
EVERYTHING = 1000
DAY_MS = DAY_US // 1000

# Few ids, prices and times: levels are shared, met exactly and passed, and ticks come stale and twice.
trade_ids = st.integers(1, 8)
prices = st.integers(1, 24)
sizes = st.integers(1, 5)
instants = st.integers(1, 6)
stamps = st.integers(0, 7).flatmap(lambda ms: st.sampled_from([ms * 1000, ms * 1000 + 1]))
NEW_CLOCK_AFTER_MS = 2
slots = st.sampled_from(EVERY_SLOT)


def money(units: st.SearchStrategy[int]) -> st.SearchStrategy[str]:
    return units.map(lambda value: str(from_units(value)))


def maybe(strategy: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.none() | strategy


@st.composite
def break_evens(draw: st.DrawFn) -> dict[str, str]:
    arm = draw(sizes)
    return {"arm": str(from_units(arm)), "offset": str(from_units(draw(st.integers(0, arm - 1))))}


trails = st.one_of(
    st.builds(lambda amount: {"amount": amount}, money(sizes)),
    st.builds(lambda percent: {"percent": percent}, st.sampled_from(["0.5", "10", "33.3333", "75"])),
    st.builds(lambda step, distance: {"step": step, "distance": distance}, money(sizes), money(sizes)),
)
bricks = st.one_of(
    st.builds(lambda size, confirm: {"size": size, "confirm": confirm}, money(sizes), st.integers(1, 3)),
    st.builds(lambda size, against: {"size": size, "reversal": against}, money(sizes), st.integers(1, 3)),
)


legs = st.builds(lambda price, quantity: {"price": price, "quantity": quantity}, money(prices), st.integers(1, 3))


@st.composite
def plans(draw: st.DrawFn) -> ExitPlan:
    """Any plan, even a contradictory one for its direction: then several rules can fire on one tick."""
    fields = {
        "targets": draw(maybe(st.lists(legs, min_size=1, max_size=3))),
        "target": draw(maybe(money(prices))),
        "stop_loss": draw(maybe(money(prices))),
        "trailing_stop": draw(maybe(trails)),
        "break_even": draw(maybe(break_evens())),
        "bricks": draw(maybe(bricks)),
        "max_hold_s": draw(maybe(st.integers(1, 4))),
    }
    given = {name: value for name, value in fields.items() if value is not None}
    assume(given)
    return ExitPlan.model_validate(given)


def as_told(trade_id: int, plan: ExitPlan) -> Trade:
    """A trade with facts derived from its id: only its plan can change."""
    return Trade(
        trade_id=UUID(int=trade_id),
        symbol=SYMBOLS[trade_id % 2],
        direction=list(Direction)[trade_id // 2 % 2],
        entry=10 + trade_id % 3,
        entered_at_ms=trade_id % 4,
        plan=plan,
    )


def as_judged(trade: Trade) -> OpenTrade:
    position = Position(trade.direction, trade.entry * trade.direction.sign, trade.entered_at_ms)
    return OpenTrade(
        trade_id=trade.trade_id,
        symbol=trade.symbol,
        direction=trade.direction,
        quantity=1,
        product_type=ProductType.MIS,
        user_broker_id="paper",
        entry_price=trade.entry,
        entered_at_ms=trade.entered_at_ms,
        rules=start_rules(trade.plan, position),
    )


def found(candidates: Iterable[ExitCandidates]) -> list[Found]:
    return [
        (
            each.trade.trade_id,
            tuple((one.exit_reason, one.leg, one.detected_price, one.detected_at_us) for one in each.candidates),
        )
        for each in candidates
    ]


OPEN = ((0, 2_000), (3_000, 4_000), (5_000, DAY_US // 2))
"""Sessions of the second symbol, in microseconds of a day: it is closed between them and at night."""


def session(symbol: str, ts_us: int) -> tuple[int, int] | None:
    """The session of a symbol at a time; the first symbol is always open."""
    if symbol == SYMBOLS[0]:
        return whole_day(ts_us)
    day_us = ts_us // DAY_US * DAY_US
    of_day = [(day_us + start, day_us + end) for start, end in OPEN]
    return next((each for each in of_day if each[0] <= ts_us < each[1]), None)


def engine_of_hours() -> ExitSignalService:
    """An engine with the sessions of both symbols."""
    return ExitSignalService(NEW_CLOCK_AFTER_MS, lambda symbol: partial(session, symbol))


class EngineAgreesWithOracle(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.engine = engine_of_hours()
        self.oracle = BruteForceEngine(NEW_CLOCK_AFTER_MS, session)
        self.checkpoint: dict[UUID, OpenTrade] = {}
        self.saved: dict[UUID, dict[RuleKey, Saved]] = {}
        self.states: dict[str, SymbolState] = {}
        self.since: dict[str, list[tuple[int, int, int, int]]] = {symbol: [] for symbol in SYMBOLS}
        self.now_ms = 0

    @rule(trade_id=trade_ids, plan=plans())
    def add_trade(self, trade_id: int, plan: ExitPlan) -> None:
        trade = as_told(trade_id, plan)
        state = self.engine.books.state(trade.symbol)
        assert found(self.engine.add_trade(as_judged(trade))) == self.oracle.add_trade(trade)
        entered_tick = state.ticks if state else 0
        self.checkpoint.setdefault(trade.trade_id, as_judged(trade)._replace(entered_tick=entered_tick))
        self.save(trade.symbol)

    @rule(trade_id=trade_ids, plan=plans(), newer=st.sampled_from([1, 1, 1, 0]))
    def change_plan(self, trade_id: int, plan: ExitPlan, newer: int) -> None:
        trade = as_told(trade_id, plan)
        known = self.oracle.trades.get(trade.trade_id)
        version = trade.version = newer + (known.version if known else 1)
        now = as_judged(trade)._replace(plan_version=version)
        assert found(self.engine.change_plan(now)) == self.oracle.change_plan(trade)
        if known is not None and newer:
            state = self.engine.books.state(trade.symbol)
            self.checkpoint[trade.trade_id] = now._replace(entered_tick=state.ticks if state else 0)
        self.save(trade.symbol)

    @rule(trade_id=trade_ids)
    def remove_trade(self, trade_id: int) -> None:
        self.engine.remove_trade(UUID(int=trade_id))
        self.oracle.remove_trade(UUID(int=trade_id))
        self.checkpoint.pop(UUID(int=trade_id), None)
        self.saved.pop(UUID(int=trade_id), None)
        self.save(SYMBOLS[trade_id % 2])

    @rule(
        symbol=st.sampled_from(SYMBOLS),
        ticks=st.lists(st.tuples(prices, stamps, st.integers(0, 6), instants), min_size=1, max_size=6),
    )
    def ticks(self, symbol: str, ticks: list[tuple[int, int, int, int]]) -> None:
        for price, ts_us, seq, arrived_ms in ticks:
            self.tick(symbol, price, ts_us, seq, arrived_ms)

    @rule(symbol=st.sampled_from(SYMBOLS), path=st.lists(prices, min_size=1, max_size=12), arrived_ms=instants)
    def next_ticks(self, symbol: str, path: list[int], arrived_ms: int) -> None:
        for price in path:
            last = self.oracle.last.get(symbol)
            self.tick(symbol, price, last.ts_us + 1 if last else 1, 0, arrived_ms)

    @rule(symbol=st.sampled_from(SYMBOLS), price=prices)
    def first_tick_of_the_next_day(self, symbol: str, price: int) -> None:
        last = self.oracle.last.get(symbol)
        self.tick(symbol, price, last.ts_us + DAY_US if last else 1, 0, last.arrived_ms + DAY_MS if last else 3)

    @rule(symbol=st.sampled_from(SYMBOLS), ticks=st.lists(st.tuples(prices, stamps), min_size=2, max_size=5))
    def a_clock_is_set_back_while_seq_goes_on(self, symbol: str, ticks: list[tuple[int, int]]) -> None:
        last = self.oracle.last.get(symbol)
        seq, arrived_ms = (last.seq, last.arrived_ms) if last else (0, 1)
        for nth, (price, ts_us) in enumerate(ticks, 1):
            self.tick(symbol, price, ts_us, seq + nth, arrived_ms + nth)

    def tick(self, symbol: str, price: int, ts_us: int, seq: int, arrived_ms: int) -> None:
        verdict = self.engine.on_tick(symbol, price, ts_us, seq, arrived_ms)
        told = self.oracle.on_tick(symbol, price, ts_us, seq, arrived_ms)
        assert (verdict.order, found(verdict.candidates)) == told
        assert verdict.accepted is (told[0] in (TickOrder.NEWEST, TickOrder.NEW_CLOCK))
        self.since[symbol].append((price, ts_us, seq, arrived_ms))
        if verdict.candidates or verdict.order is TickOrder.NEW_CLOCK:
            self.save(symbol)

    @rule(symbol=st.sampled_from(SYMBOLS), lowest=prices, span=st.integers(0, 20), day=st.integers(0, 2))
    def limits_of_a_day(self, symbol: str, lowest: int, span: int, day: int) -> None:
        """Limits of the day of the last tick, or of one after it; a change of them is followed by a checkpoint."""
        last = self.oracle.last.get(symbol)
        limits = CircuitLimits((last.ts_us + IST_US) // DAY_US + day if last else day, lowest, lowest + span)
        changed = self.oracle.limits.get(symbol) != limits
        assert self.engine.books.limit({symbol: limits}) == [symbol] * changed
        self.oracle.limits[symbol] = limits
        self.save(symbol)

    @rule(step_ms=st.integers(0, 3000))
    def on_clock(self, step_ms: int) -> None:
        self.now_ms += step_ms
        told = self.oracle.on_clock(self.now_ms)
        exits = self.engine.on_clock(self.now_ms)
        assert sorted(found(exits)) == told
        for entry in exits:
            self.save(entry.trade.symbol)

    @rule(trade_id=trade_ids, slot=slots)
    def disarm(self, trade_id: int, slot: Slot) -> None:
        self.engine.disarm(UUID(int=trade_id), *slot)
        self.oracle.disarm(UUID(int=trade_id), *slot)

    @rule(trade_id=trade_ids, wanted=st.lists(slots, max_size=4))
    def rearm(self, trade_id: int, wanted: list[Slot]) -> None:
        keys = [RuleKey(UUID(int=trade_id), *slot) for slot in wanted]
        assert found(self.engine.rearm(keys)) == self.oracle.rearm(keys)
        self.save(SYMBOLS[trade_id % 2])

    @rule(limit=st.integers(1, 4))
    def rearm_what_is_disarmed(self, limit: int) -> None:
        for key in self.engine.disarmed(limit):
            assert found(self.engine.rearm([key])) == self.oracle.rearm([key])
            self.save(SYMBOLS[key.trade_id.int % 2])

    @rule()
    def restart(self) -> None:
        """Load everything from checkpoints, each some ticks old, with every rule disarmed, and read those again."""
        restarted = engine_of_hours()
        restarted.books.limit({symbol: CircuitLimits(*each) for symbol, each in self.oracle.limits.items()})
        for symbol, state in self.states.items():
            restarted.books.restore(symbol, state)
        restarted.load(self.of_checkpoint())
        restarted.watch_loaded()
        for trade_id in self.checkpoint:
            restarted.disarm(trade_id, ExitReason.MANUAL)
            self.oracle.disarm(trade_id, ExitReason.MANUAL)
        for symbol in SYMBOLS:
            for price, ts_us, seq, arrived_ms in self.since[symbol]:
                assert restarted.on_tick(symbol, price, ts_us, seq, arrived_ms).candidates == ()
        for symbol in SYMBOLS:
            assert restarted.books.state(symbol) == self.engine.books.state(symbol)
        restarted.on_clock(self.now_ms)
        self.oracle.on_clock(self.now_ms)
        self.engine = restarted

    @rule(ticks=st.lists(st.tuples(st.sampled_from(SYMBOLS), prices), max_size=4))
    def trades_loaded_together_are_as_if_each_was_added(self, ticks: list[tuple[str, int]]) -> None:
        together, alone = ExitSignalService(), ExitSignalService()
        for engine in (together, alone):
            for symbol, state in self.states.items():
                engine.books.restore(symbol, state)
        together.load(self.of_checkpoint())
        together.watch_loaded()
        for trade in self.of_checkpoint():
            alone.add_trade(trade)
        for number, (symbol, price) in enumerate(ticks, 1):
            tick = (symbol, price, 10 * DAY_US + number, 0, 10 * DAY_MS + number)
            assert together.on_tick(*tick) == alone.on_tick(*tick)
        assert set(together.disarmed(EVERYTHING)) == set(alone.disarmed(EVERYTHING))
        assert sorted(found(together.on_clock(self.now_ms))) == sorted(found(alone.on_clock(self.now_ms)))
        for trade_id in self.checkpoint:
            assert together.books.rule_states(trade_id) == alone.books.rule_states(trade_id)

    def of_checkpoint(self) -> list[OpenTrade]:
        """The trades as they are stored."""
        return [
            trade._replace(saved={key[1:]: value for key, value in self.saved.get(trade_id, {}).items()})
            for trade_id, trade in self.checkpoint.items()
        ]

    def save(self, symbol: str) -> None:
        """Write a checkpoint of one symbol, as each exit, trade, rearming and new clock does; ticks alone do not."""
        state = self.engine.books.state(symbol)
        if state is not None:
            self.states[symbol] = state
        self.saved |= self.engine.books.take_moved([symbol])
        self.since[symbol].clear()

    @invariant()
    def the_same_is_disarmed(self) -> None:
        assert set(self.engine.disarmed(EVERYTHING)) == self.oracle.off

    @invariant()
    def the_same_is_remembered_of_symbols(self) -> None:
        for symbol in SYMBOLS:
            state, last = self.engine.books.state(symbol), self.oracle.last.get(symbol)
            assert (state is None) == (last is None)
            if state is not None and last is not None:
                assert (state.last_price, state.last_ts_us, state.last_seq) == (last.price, last.ts_us, last.seq)


def test_prices_of_the_test_are_whole_units() -> None:
    assert from_units(24) == Decimal("0.0024")


@pytest.mark.parametrize("reason", [reason for reason in ExitReason if rule_of(reason).planned])
def test_plans_of_the_test_have_every_rule(reason: ExitReason) -> None:
    always_the_same = settings(derandomize=True, database=None, phases=[Phase.generate])
    find(plans(), lambda plan: as_told(1, plan).has_rule((reason, None)), settings=always_the_same)


def test_restart_finds_watermarks_while_no_stop_had_one() -> None:
    market = EngineAgreesWithOracle()
    confirmed = {"bricks": {"size": "0.0001", "confirm": 1}, "trailing_stop": {"amount": "0.0001"}}
    EngineAgreesWithOracle.add_trade(market, trade_id=2, plan=ExitPlan.model_validate(confirmed))
    for seq, price in enumerate((1, 3, 1), 1):  # the second fires, so the only stop waits for bricks alone
        market.tick(SYMBOLS[0], price, 0, seq, 1 + seq)
    EngineAgreesWithOracle.restart(market)


TestEngineAgreesWithOracle = EngineAgreesWithOracle.TestCase
TestEngineAgreesWithOracle.settings = settings(max_examples=EXAMPLES, stateful_step_count=50, deadline=None)
