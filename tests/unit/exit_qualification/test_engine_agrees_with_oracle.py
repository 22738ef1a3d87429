from __future__ import annotations

from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.domain.open_trade import OpenTrade
from shared.contracts.vocabulary import Direction, ExitReason
from shared.tick_clock import TickOrder
from tests.unit.exit_qualification.examples import open_trade
from tests.unit.exit_qualification.oracle import BruteForceEngine

SYMBOLS = ("NSE:INFY", "NSE:TCS")
EVERYTHING = 1000

symbols = st.sampled_from(SYMBOLS)
# Few ids, prices and times, so that levels are shared, met exactly and passed, and ticks come stale and twice.
trade_ids = st.integers(1, 8).map(lambda number: UUID(int=number))
prices = st.integers(1, 12)
levels = st.none() | prices
instants = st.integers(1, 6)
stamps = st.integers(0, 7).flatmap(lambda ms: st.sampled_from([ms * 1000, ms * 1000 + 1]))
NEW_CLOCK_AFTER_MS = 2
reasons = st.sampled_from(ExitReason)


@st.composite
def trades(draw: st.DrawFn) -> OpenTrade:
    """Any plan, even one that contradicts its direction: then both rules can fire on one tick."""
    return open_trade(
        trade_id=draw(trade_ids),
        symbol=draw(symbols),
        direction=draw(st.sampled_from(Direction)),
        quantity=draw(st.integers(1, 3)),
        entered_at_ms=draw(instants),
        target=draw(levels),
        stop_loss=draw(levels),
    )


class EngineAgreesWithOracle(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.engine = ExitSignalService(NEW_CLOCK_AFTER_MS)
        self.oracle = BruteForceEngine(NEW_CLOCK_AFTER_MS)

    @rule(trade=trades())
    def add_trade(self, trade: OpenTrade) -> None:
        assert self.engine.add_trade(trade) == self.oracle.add_trade(trade)

    @rule(trade_id=trade_ids)
    def remove_trade(self, trade_id: UUID) -> None:
        self.engine.remove_trade(trade_id)
        self.oracle.remove_trade(trade_id)

    @rule(
        symbol=symbols,
        ticks=st.lists(st.tuples(prices, stamps, st.integers(0, 6), instants), min_size=1, max_size=6),
    )
    def ticks(self, symbol: str, ticks: list[tuple[int, int, int, int]]) -> None:
        for price, ts_us, seq, arrived_ms in ticks:
            self.tick(symbol, price, ts_us, seq, arrived_ms)

    @rule(symbol=symbols, price=prices, arrived_ms=instants)
    def next_tick(self, symbol: str, price: int, arrived_ms: int) -> None:
        last = self.oracle.last.get(symbol)
        self.tick(symbol, price, last.last_ts_us + 1 if last else 1, 0, arrived_ms)

    @rule(symbol=symbols, ticks=st.lists(st.tuples(prices, stamps), min_size=2, max_size=5))
    def a_clock_is_set_back_while_seq_goes_on(self, symbol: str, ticks: list[tuple[int, int]]) -> None:
        last = self.oracle.last.get(symbol)
        seq, arrived_ms = (last.last_seq, last.last_arrived_ms) if last else (0, 1)
        for nth, (price, ts_us) in enumerate(ticks, 1):
            self.tick(symbol, price, ts_us, seq + nth, arrived_ms + nth)

    def tick(self, symbol: str, price: int, ts_us: int, seq: int, arrived_ms: int) -> None:
        verdict = self.engine.on_tick(symbol, price, ts_us, seq, arrived_ms)
        told = self.oracle.on_tick(symbol, price, ts_us, seq, arrived_ms)
        assert (verdict.order, list(verdict.candidates)) == told
        assert verdict.accepted is (told[0] in (TickOrder.NEWEST, TickOrder.NEW_CLOCK))

    @rule(trade_id=trade_ids, reason=reasons)
    def disarm(self, trade_id: UUID, reason: ExitReason) -> None:
        self.engine.disarm(trade_id, reason)
        self.oracle.disarm(trade_id, reason)

    @rule(trade_id=trade_ids, wanted=st.lists(reasons, max_size=4))
    def rearm(self, trade_id: UUID, wanted: list[ExitReason]) -> None:
        assert self.engine.rearm(trade_id, wanted) == self.oracle.rearm(trade_id, wanted)

    @rule(limit=st.integers(1, 4))
    def rearm_what_is_disarmed(self, limit: int) -> None:
        for trade_id, reason in self.engine.disarmed(limit):
            assert self.engine.rearm(trade_id, [reason]) == self.oracle.rearm(trade_id, [reason])

    @invariant()
    def the_same_is_disarmed(self) -> None:
        assert set(self.engine.disarmed(EVERYTHING)) == self.oracle.off

    @invariant()
    def the_same_is_remembered_of_symbols(self) -> None:
        assert {symbol: self.engine.symbol_state(symbol) for symbol in SYMBOLS} == {
            symbol: self.oracle.last.get(symbol) for symbol in SYMBOLS
        }


TestEngineAgreesWithOracle = EngineAgreesWithOracle.TestCase
TestEngineAgreesWithOracle.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
