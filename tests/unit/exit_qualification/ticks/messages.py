"""Records as Kafka gives them, without Kafka."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, cast

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Message

from services.exit_qualification.ticks.batch import Layout
from shared.contracts.trades import TradeOpened
from shared.kafka.clients import home_partition
from tests.support.signing import signed

LAYOUT = Layout("ticks", "trades", 4)
INFY = "NSE:INFY"
HOME = home_partition(INFY, LAYOUT.partitions)
NOW_MS = 1_768_275_900_000
"""2026-01-13T03:45:00Z, when the ticks are made."""


@dataclass
class Record:
    """What is asked of a confluent_kafka Message."""

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


def tick(price: str = "1000.00", *, symbol: str = INFY, seq: int = 1, **where: Any) -> Message:
    """A tick's record."""
    value = {"symbol": symbol, "ltp": price, "ts": "2026-01-13T03:45:00.123456Z", "seq": seq}
    return cast(Message, Record("ticks", json.dumps(value).encode(), **where))


def trade(event: TradeOpened, **where: Any) -> Message:
    """An opened trade's record."""
    headers = signed("trades", event.key, event.payload(), {"ce_type": event.event_type()})
    encoded = [(name, text.encode()) for name, text in headers.items()]
    return cast(Message, Record("trades", event.payload(), key_=event.key.encode(), headers_=encoded, **where))
