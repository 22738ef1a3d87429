"""The exchange moves circuit limits during the day: no real tick is lost, and no wrong one moves anything."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from confluent_kafka import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from services.exit_qualification.domain.circuit_limits import CircuitLimits
from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.ticks.batch import BatchResult
from services.exit_qualification.ticks.held_ticks import HOLD_S, MOST_HELD, HeldTicks
from shared.contracts.vocabulary import ExitReason
from tests.support.trades import opened
from tests.unit.exit_qualification.ticks.messages import INFY, LAYOUT, NOW_MS, evaluator, grouped, tick, trade
from tests.unit.exit_qualification.ticks.test_progress import PARTITIONS, PLANS, SYMBOLS, Log, Store, Worker

DAY = 20_466
"""2026-01-13 in Asia/Kolkata, the day of the ticks."""
BEFORE, AFTER = CircuitLimits(DAY, 994_0000, 1006_0000), CircuitLimits(DAY, 980_0000, 1020_0000)
WRONG = (1, 2000)


class LimitedWorker(Worker):
    """A worker with the limits in the database, and a broker that answers at once when it is let."""

    def __init__(self, store: Store, known: CircuitLimits) -> None:
        super().__init__(store)
        self.engine.books.limit(dict.fromkeys(SYMBOLS, known))

    def ask(self) -> None:
        """Ask for the limits: they decide about the ticks so far."""
        held = self.evaluator.held
        held.ask(held.unasked(0))

    def learn(self, limits: CircuitLimits) -> None:
        """Take the answers, as a session does."""
        changed = self.engine.books.unsaved(self.engine.books.limit(dict.fromkeys(SYMBOLS, limits)))
        self._write(BatchResult(), self.progress.checkpoint(symbols=changed))
        result = self.evaluator.release(self.evaluator.held.asked)
        self._write(result, self.progress.checkpoint(result.urgent, result.urgent_symbols))


symbols = st.sampled_from(SYMBOLS)
usual = st.tuples(symbols, st.integers(996, 1005))
beyond = st.tuples(symbols, st.one_of(st.integers(981, 993), st.integers(1007, 1019), st.integers(996, 1005)))
wrong = st.tuples(symbols, st.sampled_from(WRONG))
plans = st.lists(st.tuples(symbols, st.sampled_from(PLANS)), min_size=1, max_size=6)
thens = st.lists(st.sampled_from([*["take"] * 6, "ask", "answer", "checkpoint", "crash"]), max_size=60)


@settings(max_examples=300)
@given(plans, st.lists(st.one_of(usual, usual, wrong)), st.lists(st.one_of(beyond, beyond, wrong)), thens)
def test_moved_limits_lose_no_tick_wherever_a_worker_dies(
    trades: list[tuple[str, dict[str, Any]]],
    early: list[tuple[str, int]],
    late: list[tuple[str, int]],
    life: list[str],
) -> None:
    log = Log()
    for each in trades:
        log.open(*each)
    for symbol, price in (*early, *late):
        log.tick(symbol, price, 1)
    moved = len(trades) + len(early)
    judged = Worker(Store())
    wrong_ones = [len(trades) + n for n, (_, price) in enumerate((*early, *late)) if price in WRONG]
    judged.take(each for n, each in enumerate(log.records) if n not in wrong_ones)
    assert _live(log, moved, life).exits == judged.store.exits


def _live(log: Log, moved: int, life: Iterable[str]) -> Store:
    store, known, seen = Store(), BEFORE, 0
    worker, batch = LimitedWorker(store, known), iter(log.since(store.offsets))
    for then in (*life, *["take"] * len(log.records), "ask", "answer"):
        if then == "take" and (message := next(batch, None)) is not None:
            worker.take([message])
            seen = max(seen, log.records.index(message) + 1)
        elif then == "ask":
            worker.ask()
            known = AFTER if seen > moved else known
        elif then == "answer":
            worker.learn(known)
        elif then == "checkpoint":
            for partition in PARTITIONS:
                worker.save(partition)
        elif then == "crash":
            worker = LimitedWorker(store, known)
            batch = iter(log.since(store.offsets))
    worker.ask()
    worker.learn(AFTER if seen > moved else known)
    return store


EVENT = opened(plan={"stop_loss": "950"})
LIMITS = CircuitLimits(DAY, 960_0000, 1100_0000)


def _holding(*messages: Message) -> tuple[ExitSignalService, Any, BatchResult]:
    engine = ExitSignalService()
    engine.books.limit({INFY: LIMITS})
    judging = evaluator(engine)
    return engine, judging, judging.evaluate(grouped([trade(EVENT), *messages]), NOW_MS)


def test_ticks_after_one_beyond_the_limits_wait_in_their_order() -> None:
    engine, judging, result = _holding(tick("940", offset_=1), tick("1000", offset_=2))
    assert (result.evaluated, result.outside, result.detected) == (0, [], [])
    assert judging.held.first_offsets() == {INFY: 1}
    judging.held.ask(judging.held.unasked(0))
    engine.books.limit({INFY: LIMITS._replace(lower=900_0000)})
    (exit_,) = judging.release([INFY]).detected
    assert [(each.exit_reason, each.detected_price) for each in exit_.candidates] == [(ExitReason.STOP_LOSS, 940_0000)]
    assert not judging.held


def test_newer_limits_refuse_a_wrong_tick() -> None:
    engine, judging, _ = _holding(tick("940", offset_=1))
    judging.held.ask(judging.held.unasked(0))
    judging.evaluate(grouped([tick("930", offset_=2)]), NOW_MS)
    result = judging.release([INFY])
    assert (result.outside, judging.held.first_offsets()) == ([INFY], {INFY: 2})
    assert engine.books.state(INFY) is None


def test_an_event_of_a_trade_ends_the_wait() -> None:
    _, judging, _ = _holding(tick("940", offset_=1), tick("1000", offset_=2))
    other = opened(plan={"target": "1001"}, trade_id=UUID(int=7))
    result = judging.evaluate(grouped([trade(other, arrived_ms=NOW_MS + 1)]), NOW_MS)
    assert (result.outside, result.evaluated, result.detected, bool(judging.held)) == ([INFY], 1, [], False)


def test_a_wait_has_an_end() -> None:
    held = HeldTicks(LAYOUT.partitions)
    held.hold(INFY, (tick(), (INFY, 1, 1, 1, 1)))
    assert held.overdue(10.0) == []
    held.ask(held.unasked(10.0))
    assert held.overdue(10.0 + HOLD_S - 0.1) == []
    assert held.overdue(10.0 + HOLD_S) == [INFY]
    for _ in range(MOST_HELD):
        held.hold(INFY, (tick(), (INFY, 1, 1, 1, 1)))
    assert held.overdue(10.0) == [INFY]
