"""Records as Kafka gives them, without Kafka."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, cast

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Message

from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.ticks.batch import BatchResult, Layout, Records
from services.exit_qualification.ticks.evaluation import Evaluator
from shared.contracts.trades import TradeEvent
from shared.kafka.clients import home_partition
from shared.kafka.consuming import partition_of
from shared.kafka.topics import Partition
from tests.support.signing import TRUSTED, signed

LAYOUT = Layout("ticks", "trades", 4)
INFY = "NSE:INFY"
HOME = home_partition(INFY, LAYOUT.partitions)
NOW_MS = 1_768_275_900_000
"""2026-01-13T03:45:00Z, when the ticks are made."""


@dataclass
class Record:
    """The used interface of a confluent_kafka Message."""

    topic_: str
    value_: bytes
    partition_: int = HOME
    offset_: int = 0
    arrived_ms: int = NOW_MS
    kind: int = TIMESTAMP_LOG_APPEND_TIME
    key_: bytes = b""
    headers_: list[tuple[str, bytes]] = field(default_factory=list)

    def topic(self) -> str:
        return self.topic_

    def partition(self) -> int:
        return self.partition_

    def offset(self) -> int:
        return self.offset_

    def value(self) -> bytes:
        return self.value_

    def key(self) -> bytes:
        return self.key_

    def headers(self) -> list[tuple[str, bytes]]:
        return self.headers_

    def timestamp(self) -> tuple[int, int]:
        return (self.kind, self.arrived_ms)


def tick(
    price: str = "1000.00", *, symbol: str = INFY, seq: int = 1, ts: str = "2026-01-13T03:45:00.123456Z", **where: Any
) -> Message:
    """A tick's record."""
    value = {"symbol": symbol, "ltp": price, "ts": ts, "seq": seq}
    return cast(Message, Record("ticks", json.dumps(value).encode(), **where))


def trade(event: TradeEvent, **where: Any) -> Message:
    """The record of a trade's event."""
    headers = signed("trades", event.key, event.payload(), {"ce_type": event.event_type()})
    encoded = [(name, text.encode()) for name, text in headers.items()]
    return cast(Message, Record("trades", event.payload(), key_=event.key.encode(), headers_=encoded, **where))


def grouped(messages: Iterable[Message]) -> Records:
    """Records by partition, as a consumer gives them."""
    records: dict[Partition, list[Message]] = {}
    for message in messages:
        records.setdefault(partition_of(message), []).append(message)
    return records


def evaluator(engine: ExitSignalService, held: Collection[int] = (HOME,)) -> Evaluator:
    """An evaluator of held partitions; it trusts the tests' key."""
    return Evaluator(engine, LAYOUT, held, TRUSTED)


def evaluated(engine: ExitSignalService, *messages: Message, held: Collection[int] = (HOME,)) -> BatchResult:
    """The result of one batch."""
    return evaluator(engine, held).evaluate(grouped(messages), NOW_MS)
