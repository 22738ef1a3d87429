"""However checkpoints and crashes fall, each trade exits by the same tick as without them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import Any
from uuid import UUID

from confluent_kafka import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from services.exit_qualification.domain.checkpoint import Checkpoint, EngineCheckpoint, SymbolCheckpoint
from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.domain.open_trade import OpenTrade, Slot, entered
from services.exit_qualification.domain.planned_trade import planned
from services.exit_qualification.domain.square_off import NEVER
from services.exit_qualification.storage.open_trades import OpenedTrade
from services.exit_qualification.ticks.batch import BatchResult, offsets_after
from services.exit_qualification.ticks.checkpoint_parts import PARTS, CheckpointParts
from services.exit_qualification.ticks.evaluation import Evaluator, in_rounds
from services.exit_qualification.ticks.progress import Progress
from shared.contracts.vocabulary import ExitReason
from shared.exit_rules.rule import Saved
from shared.instants import EPOCH
from shared.kafka.clients import home_partition
from tests.support.signing import TRUSTED
from tests.support.trades import opened
from tests.unit.exit_qualification.ticks.messages import LAYOUT, NOW_MS, grouped, tick, trade

SYMBOLS = ("NSE:INFY", "NSE:TCS")
PARTITIONS = range(LAYOUT.partitions)
TARGET: dict[str, Any] = {"target": "1003.00"}
PLANS: Sequence[dict[str, Any]] = (
    TARGET,
    {"trailing_stop": {"amount": "4.00"}},
    {"trailing_stop": {"amount": "5.00"}},
    {"trailing_stop": {"percent": "0.3"}, "target": "1005.00"},
    {"target": "1003.00", "bricks": {"size": "2.00", "confirm": 1, "reversal": 2}},
    {"stop_loss": "996.00", "break_even": {"arm": "3.00", "offset": "1.00"}},
)


class Then(Enum):
    """The step after a record."""

    MORE = "the next record is of the same batch"
    WRITE = "its batch is written"
    CHECKPOINT = "its batch is written, and a partition's checkpoint"
    PART = "its batch is written, and the next part of a checkpoint"
    CRASH = "its batch is written and the worker dies"
    CRASH_BEFORE = "the worker dies before its batch is written"


@dataclass
class Store:
    """The committed state."""

    offsets: dict[int, Checkpoint] = field(default_factory=lambda: dict.fromkeys(PARTITIONS, Checkpoint(1, 0, 0)))
    symbols: dict[str, SymbolCheckpoint] = field(default_factory=dict)
    rules: dict[UUID, dict[Slot, Saved]] = field(default_factory=dict)
    trades: dict[UUID, OpenedTrade] = field(default_factory=dict)
    exits: dict[UUID, tuple[ExitReason, int | None]] = field(default_factory=dict)

    def write(self, result: BatchResult, checkpoint: EngineCheckpoint) -> None:
        """Commit the result of a batch, and the checkpoint."""
        self.offsets |= checkpoint.offsets
        self.symbols |= {each.symbol: each for each in checkpoint.symbols}
        self.rules |= {
            trade_id: {key[1:]: saved for key, saved in of.items()} for trade_id, of in checkpoint.rules.items()
        }
        for each in result.opened:
            self.trades.setdefault(each.event.trade_id, each)
        for entry in (entry for entries in in_rounds(result.detected) for entry in entries):
            first = entry.candidates[0]
            self.exits.setdefault(entry.trade.trade_id, (first.exit_reason, first.detected_price))


def _loaded(each: OpenedTrade, rules: dict[UUID, dict[Slot, Saved]]) -> OpenTrade:
    facts, saved = entered(each.event).facts, rules.get(each.event.trade_id, {})
    return planned(facts, each.event.exit_plan, 1, NEVER, each.entered_tick, saved)


class Worker:
    """A worker at its start from the committed state. An exited trade stays in its cooldown."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.engine = ExitSignalService()
        for each in store.symbols.values():
            self.engine.books.restore(each.symbol, each.state)
        self.engine.load(_loaded(each, store.rules) for each in store.trades.values())
        self.engine.watch_loaded()
        self._disarm(store.exits)
        ahead = {each.symbol: each.tick_offset for each in store.symbols.values()}
        self.evaluator = Evaluator(self.engine, LAYOUT, PARTITIONS, TRUSTED, ahead=ahead)
        self.progress = Progress(self.engine, store.offsets, LAYOUT.partitions, self.evaluator.held)
        self.checkpoints = CheckpointParts(self.progress, few_symbols=1)

    def take(self, messages: Iterable[Message], *, is_written: bool = True) -> None:
        """Judge a batch, and commit the urgent part."""
        records = grouped(messages)
        result = self.evaluator.evaluate(records, NOW_MS)
        self.progress.reached |= offsets_after(records, LAYOUT, self.progress.reached)
        if is_written and (result.urgent or result.urgent_symbols):
            self._write(result, self.progress.checkpoint(result.urgent, result.urgent_symbols))

    def save_part(self) -> None:
        """Commit the next part of a checkpoint."""
        if part := self.checkpoints.next():
            self._write(BatchResult(), part)

    def save(self, partition: int) -> None:
        """Commit the checkpoint of a partition."""
        self._write(BatchResult(), self.progress.checkpoint([partition]))

    def _write(self, result: BatchResult, checkpoint: EngineCheckpoint) -> None:
        self.store.write(result, checkpoint)
        self.progress.written(checkpoint)
        self._disarm(self.store.exits)

    def _disarm(self, trade_ids: Iterable[UUID]) -> None:
        for trade_id in trade_ids:
            self.engine.disarm(trade_id, ExitReason.MANUAL)


class Log:
    """Records in the order of their arrival."""

    def __init__(self) -> None:
        self.records: list[Message] = []

    def tick(self, symbol: str, price: int, seq: int) -> None:
        """A symbol trades; its feed stamps ticks by the second: the log alone has their order."""
        where = home_partition(symbol, LAYOUT.partitions)
        self.records.append(tick(f"{price}.00", symbol=symbol, seq=seq, partition_=where, **self._next("ticks", where)))

    def open(self, symbol: str, plan: dict[str, Any]) -> None:
        """A trade enters."""
        where = home_partition(symbol, LAYOUT.partitions)
        at = self._next("trades", where)
        event = opened(
            symbol=symbol,
            plan=plan,
            trade_id=UUID(int=len(self.records) + 1),
            entered_at=EPOCH + timedelta(milliseconds=at["arrived_ms"]),
        )
        self.records.append(trade(event, partition_=where, **at))

    def since(self, offsets: dict[int, Checkpoint]) -> list[Message]:
        """The records for a worker with these offsets."""
        return [each for each in self.records if (each.offset() or 0) >= _position(offsets, each)]

    def _next(self, topic: str, partition: int) -> dict[str, Any]:
        before = [each for each in self.records if (each.topic(), each.partition()) == (topic, partition)]
        return {"offset_": len(before), "arrived_ms": NOW_MS + len(self.records)}


def _position(offsets: dict[int, Checkpoint], message: Message) -> int:
    of = offsets[message.partition() or 0]
    return of.tick_offset if message.topic() == LAYOUT.ticks else of.trade_offset


symbols = st.sampled_from(SYMBOLS)
entries = st.tuples(symbols, st.sampled_from(PLANS))
ticks = st.tuples(symbols, st.integers(996, 1005), st.sampled_from([1, 1, 1, 0]))
thens = st.sampled_from([Then.MORE, *Then])


@settings(max_examples=100)
@given(
    st.lists(entries, min_size=1, max_size=8), st.lists(st.one_of(ticks, ticks, ticks, entries), max_size=40), st.data()
)
def test_worker_dying_anywhere_makes_same_exits_as_undisturbed_worker(
    first: list[tuple[str, dict[str, Any]]], later: list[tuple[Any, ...]], data: st.DataObject
) -> None:
    log = Log()
    for record in (*first, *later):
        log.open(*record) if len(record) == 2 else log.tick(*record)
    undisturbed = Worker(Store())
    for message in log.records:
        undisturbed.take([message])
    disturbed = _live_through(log, data)
    assert disturbed.exits == undisturbed.store.exits
    assert disturbed.trades.keys() == undisturbed.store.trades.keys()


def _live_through(log: Log, data: st.DataObject) -> Store:
    """Return the commits of workers with many deaths, each in the place of the one before."""
    store, lives = Store(), data.draw(st.lists(st.lists(thens, min_size=1, max_size=20), max_size=6))
    for life in lives:
        _live(Worker(store), log.since(store.offsets), life, data)
    Worker(store).take(log.since(store.offsets))
    return store


def _live(worker: Worker, records: list[Message], life: list[Then], data: st.DataObject) -> None:
    batch: list[Message] = []
    for message, then in zip(records, life, strict=False):
        batch.append(message)
        if then is Then.MORE:
            continue
        worker.take(batch, is_written=then is not Then.CRASH_BEFORE)
        batch = []
        if then is Then.CHECKPOINT:
            worker.save(data.draw(st.sampled_from(PARTITIONS)))
        elif then is Then.PART:
            worker.save_part()
        elif then in (Then.CRASH, Then.CRASH_BEFORE):
            return


def test_partition_is_stored_with_its_last_changed_symbol() -> None:
    log, store = Log(), Store()
    worker = Worker(store)
    for symbol in (same := _of_first_partition(3)):
        log.tick(symbol, 1000, 1)
    worker.take(log.records)
    for saved in (1, 2):
        worker.save_part()
        assert (len(store.symbols), store.offsets[0].tick_offset) == (saved, 0)
    log.tick(same[0], 1001, 2)
    worker.take(log.records[-1:])
    worker.save_part()
    assert (len(store.symbols), store.offsets[0].tick_offset) == (3, 3)
    assert worker.checkpoints.is_between_rounds
    worker.save_part()
    assert (store.symbols[same[0]].tick_offset, store.offsets[0].tick_offset) == (4, 4)
    worker.save_part()
    assert worker.progress.unwritten() == set()


def test_part_takes_an_equal_share_of_many_symbols() -> None:
    log, store = Log(), Store()
    for number in range(20 * PARTS):
        log.tick(f"NSE:S{number}", 1000, 1)
    worker = Worker(store)
    worker.take(log.records)
    sizes = []
    while worker.progress.unwritten():
        before = len(store.symbols)
        worker.save_part()
        sizes.append(len(store.symbols) - before)
    assert max(sizes) <= 20
    assert len(sizes) <= PARTS + 1


def _of_first_partition(count: int) -> list[str]:
    names = [f"NSE:S{number}" for number in range(20 * count * LAYOUT.partitions)]
    return [name for name in names if home_partition(name, LAYOUT.partitions) == 0][:count]


def test_exit_saves_only_its_symbol_and_partition_stays_behind() -> None:
    log, store = Log(), Store()
    same = _of_first_partition(20)
    for symbol in same:
        log.open(symbol, TARGET)
    worker = Worker(store)
    worker.take(log.records)
    for symbol in same:
        log.tick(symbol, 1000, 1)
    log.tick(same[3], 1003, 1)
    worker.take(log.since(store.offsets))
    assert [(each.symbol, each.tick_offset) for each in store.symbols.values()] == [(same[3], len(same) + 1)]
    assert store.offsets[0] == Checkpoint(1, 0, len(same))
    worker.save(0)
    assert (len(store.symbols), store.offsets[0]) == (len(same), Checkpoint(1, len(same) + 1, len(same)))
    assert worker.progress.unwritten() == set()
