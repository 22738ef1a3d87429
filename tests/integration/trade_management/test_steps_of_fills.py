"""The records of one poll are applied in batches, in two lanes of separate partitions."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import closing
from typing import cast

import pytest
from confluent_kafka import Message
from sqlalchemy import Engine

from services.trade_management.domain.fill_report import FillReport
from services.trade_management.domain.trade import Trade
from services.trade_management.fills import lanes
from services.trade_management.fills.batch import FillBatches
from services.trade_management.fills.lanes import FillLanes
from services.trade_management.trade_management_service import Applied, TradeManagementService
from shared.clock import rfc3339
from shared.contracts.events import Event
from shared.contracts.topics import EXIT_INTENTS, TopicNames
from shared.errors import Unavailable
from shared.ids import new_id
from shared.kafka.dead_letters import DeadLetters
from shared.outbox.unit_of_work import UnitOfWork
from shared.outbox.writing import Outbox
from tests.integration.trade_management.ledger import CLOCK, Intent, emitted, execution, open_trade, rows, stored
from tests.support.signing import SIGNER, TRUSTED, signed

SIZE = 2


class Letters:
    """Dead letters, in memory."""

    def __init__(self) -> None:
        self.codes: list[str] = []

    def put(self, record: Message, code: str, reason: str) -> None:
        self.codes.append(code)

    def flush(self) -> None:
        pass


class Failing(TradeManagementService):
    """Notes the size of each batch; cannot apply the one of this number, from 1."""

    def __init__(self, fails_at: int = 0) -> None:
        super().__init__(CLOCK)
        self.fails_at = fails_at
        self.sizes: list[int] = []

    def apply_fills(self, uow: UnitOfWork, reports: Sequence[FillReport], *, queued: bool = False) -> Applied:
        self.sizes.append(len(reports))
        if len(self.sizes) == self.fails_at:
            raise Unavailable("not now")
        return super().apply_fills(uow, reports, queued=queued)


def record(event: Event, *, forged: bool = False, partition: int = 0) -> Message:
    """An event as Kafka delivers it."""
    value = event.payload()
    headers = {
        "ce_id": str(new_id()),
        "ce_type": event.event_type(),
        "ce_source": event.source,
        "ce_subject": event.subject,
        "ce_time": rfc3339(CLOCK.now()),
        "ce_sequence": "1",
    }
    sent = signed(EXIT_INTENTS, event.key, value, headers)
    return Message(
        topic=EXIT_INTENTS,
        partition=partition,
        offset=1,
        key=event.key.encode(),
        value=value + b" " if forged else value,
        headers=[(name, text.encode()) for name, text in sent.items()],
    )


def steps(engine: Engine, service: TradeManagementService, letters: Letters) -> FillLanes:
    outbox = Outbox(TopicNames(""), CLOCK, SIGNER)
    return FillLanes(FillBatches(engine, outbox, CLOCK, service, cast(DeadLetters, letters), TRUSTED).apply)


def closed(engine: Engine, trades: Sequence[Trade]) -> list[bool]:
    return [stored(engine, trade.trade_id)["status"] == "CLOSED" for trade in trades]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of `SIZE` records."""
    monkeypatch.setattr(lanes, "BATCH_RECORDS", SIZE)


def test_step_applies_in_batches_and_refuses_forged_records(trade_engine: Engine) -> None:
    trades = [open_trade(trade_engine) for _ in range(5)]
    forged = [record(Intent(trade).filled(execution()), forged=True) for trade in trades[:2]]
    good = [record(Intent(trade).filled(execution())) for trade in trades]
    service, letters = Failing(), Letters()
    step = [good[0], forged[0], *good[1:3], forged[1], *good[3:]]
    applied = list(steps(trade_engine, service, letters).apply(step))
    assert [each for batch_ in applied for each in batch_] == step
    assert service.sizes == [1, 2, 1, 1]
    assert letters.codes == ["untrusted", "untrusted"]
    assert all(closed(trade_engine, trades))


def test_failed_batch_keeps_earlier_batches_and_rest_is_repeatable(trade_engine: Engine) -> None:
    trades = [open_trade(trade_engine) for _ in range(5)]
    step = [record(Intent(trade).filled(execution())) for trade in trades]
    applied: list[Message] = []
    with pytest.raises(Unavailable):
        for done in steps(trade_engine, Failing(fails_at=2), Letters()).apply(step):
            applied += done
    assert applied == step[:2]
    assert closed(trade_engine, trades) == [True, True, False, False, False]
    for _ in steps(trade_engine, Failing(), Letters()).apply(step):
        pass
    assert all(closed(trade_engine, trades))
    assert [emitted(trade_engine, "TradeClosed", trade.trade_id) for trade in trades] == [1] * 5


class Meeting(TradeManagementService):
    """Books a batch once one of another lane is at the same place."""

    def __init__(self) -> None:
        super().__init__(CLOCK)
        self.both = threading.Barrier(2, timeout=20)

    def apply_fills(self, uow: UnitOfWork, reports: Sequence[FillReport], *, queued: bool = False) -> Applied:
        applied = super().apply_fills(uow, reports, queued=queued)
        self.both.wait()
        return applied


def test_two_partitions_are_booked_at_a_time_each_in_order(trade_engine: Engine) -> None:
    trades = [open_trade(trade_engine) for _ in range(4)]  # of one symbol: their events are numbered together
    step = []
    for nth, trade in enumerate(trades):
        first, second = execution(40, nth=1), execution(60, nth=2)
        intent = Intent(trade)
        told = (intent.partially_filled(first), intent.filled(first, second))
        step += [record(event, partition=nth % 2) for event in told]
    applied = list(steps(trade_engine, Meeting(), Letters()).apply(step))
    for partition in (0, 1):
        own = [each for batch in applied for each in batch if each.partition() == partition]
        assert own == [each for each in step if each.partition() == partition]
    assert all(closed(trade_engine, trades))
    numbers = rows(trade_engine, "SELECT sequence FROM outbox_event WHERE key = 'NSE:INFY' ORDER BY id")
    assert [row["sequence"] for row in numbers] == sorted(row["sequence"] for row in numbers)
    for trade in trades:
        for name in ("TradePartiallyClosed", "TradeClosed"):
            assert emitted(trade_engine, name, trade.trade_id) == 1


def test_a_failed_lane_leaves_nothing_of_the_other_in_hand(trade_engine: Engine) -> None:
    trades = [open_trade(trade_engine) for _ in range(6)]
    step = [record(Intent(trade).filled(execution()), partition=nth % 2) for nth, trade in enumerate(trades)]
    applied: list[Message] = []
    with pytest.raises(Unavailable):
        for done in steps(trade_engine, Failing(fails_at=2), Letters()).apply(step):
            applied += done
    before = closed(trade_engine, trades)
    assert all(before[step.index(each)] for each in applied)
    assert closed(trade_engine, trades) == before, "no thread goes on"
    assert len(list(steps(trade_engine, Failing(), Letters()).apply(step))) == 4
    assert [emitted(trade_engine, "TradeClosed", trade.trade_id) for trade in trades] == [1] * 6


def test_a_step_left_early_ends_the_batches_in_hand(trade_engine: Engine) -> None:
    trades = [open_trade(trade_engine) for _ in range(8)]
    step = [record(Intent(trade).filled(execution()), partition=nth % 2) for nth, trade in enumerate(trades)]
    with closing(steps(trade_engine, Failing(), Letters()).apply(step)) as batches:
        assert len(next(batches)) == SIZE
    done = sum(closed(trade_engine, trades))
    assert SIZE <= done < len(trades)
    assert sum(closed(trade_engine, trades)) == done
