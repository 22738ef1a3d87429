"""The records of one poll are applied in batches: each is a transaction, read while the one before is committed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest
from confluent_kafka import Message
from sqlalchemy import Engine

from services.trade_management.domain.fill_report import FillReport
from services.trade_management.domain.trade import Trade
from services.trade_management.fills import batch
from services.trade_management.fills.batch import FillBatches
from services.trade_management.trade_management_service import Applied, TradeManagementService
from shared.clock import rfc3339
from shared.contracts.events import Event
from shared.contracts.topics import EXIT_INTENTS, TopicNames
from shared.errors import Unavailable
from shared.ids import new_id
from shared.kafka.dead_letters import DeadLetters
from shared.outbox.unit_of_work import UnitOfWork
from shared.outbox.writing import Outbox
from tests.integration.trade_management.ledger import CLOCK, Intent, emitted, execution, open_trade, stored
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


def record(event: Event, *, forged: bool = False) -> Message:
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
        partition=0,
        offset=1,
        key=event.key.encode(),
        value=value + b" " if forged else value,
        headers=[(name, text.encode()) for name, text in sent.items()],
    )


def batches(engine: Engine, service: TradeManagementService, letters: Letters) -> FillBatches:
    outbox = Outbox(TopicNames(""), CLOCK, SIGNER)
    return FillBatches(engine, outbox, CLOCK, service, cast(DeadLetters, letters), TRUSTED)


def closed(engine: Engine, trades: Sequence[Trade]) -> list[bool]:
    return [stored(engine, trade.trade_id)["status"] == "CLOSED" for trade in trades]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of `SIZE` records, the first of a step of one."""
    monkeypatch.setattr(batch, "BATCH_RECORDS", SIZE)
    monkeypatch.setattr(batch, "FIRST_RECORDS", 1)


def test_step_applies_in_batches_and_refuses_forged_records(trade_engine: Engine) -> None:
    trades = [open_trade(trade_engine) for _ in range(5)]
    forged = [record(Intent(trade).filled(execution()), forged=True) for trade in trades[:2]]
    good = [record(Intent(trade).filled(execution())) for trade in trades]
    service, letters = Failing(), Letters()
    step = [good[0], forged[0], *good[1:3], forged[1], *good[3:]]
    applied = list(batches(trade_engine, service, letters).apply(step))
    assert [each for batch_ in applied for each in batch_] == step
    assert service.sizes == [1, 1, 1, 2]
    assert letters.codes == ["untrusted", "untrusted"]
    assert all(closed(trade_engine, trades))


def test_failed_batch_keeps_earlier_batches_and_rest_is_repeatable(trade_engine: Engine) -> None:
    trades = [open_trade(trade_engine) for _ in range(5)]
    step = [record(Intent(trade).filled(execution())) for trade in trades]
    applied: list[Message] = []
    with pytest.raises(Unavailable):
        for done in batches(trade_engine, Failing(fails_at=2), Letters()).apply(step):
            applied += done
    assert applied == step[:1]
    assert closed(trade_engine, trades) == [True, False, False, False, False]
    for _ in batches(trade_engine, Failing(), Letters()).apply(step):
        pass
    assert all(closed(trade_engine, trades))
    assert [emitted(trade_engine, "TradeClosed", trade.trade_id) for trade in trades] == [1] * 5
