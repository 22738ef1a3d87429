"""Records as stored in the waiting place, unchanged: dead letters hold the original."""

from __future__ import annotations

from typing import Any

from confluent_kafka import Message

from services.trade_management.domain.fill_report import FillReport
from services.trade_management.storage.waiting_fills import RecordedFill


def recorded(record: Message, report: FillReport) -> RecordedFill:
    """Return the record as a row of the waiting place."""
    headers: list[tuple[str, Any]] = [*(record.headers() or [])]
    return RecordedFill(
        event_id=report.event_id,
        trade_id=report.trade_id,
        topic=record.topic() or "",
        partition=record.partition() or 0,
        offset=record.offset() or 0,
        key=_bytes(record.key()),
        value=_bytes(record.value()),
        headers=tuple((name, _bytes(value)) for name, value in headers),
    )


def message_of(waiting: RecordedFill) -> Message:
    """Return the record as Kafka delivered it."""
    return Message(
        topic=waiting.topic,
        partition=waiting.partition,
        offset=waiting.offset,
        key=waiting.key,
        value=waiting.value,
        headers=list(waiting.headers),
    )


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
