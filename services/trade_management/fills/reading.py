"""Reading of exits.intents.v1 records as fill reports."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from confluent_kafka import Message

from services.trade_management.domain.fill_report import FillReport
from services.trade_management.domain.fills import Fill, total_quantity
from services.trade_management.fills.fill_event import (
    FILL_TYPES,
    Filled,
    FillEvent,
    ReportedFill,
    amount,
    read_fill_event,
)
from shared.clock import trading_day
from shared.contracts.discarded import Discarded
from shared.contracts.events import event_classes
from shared.contracts.topics import EXIT_INTENTS
from shared.errors import MalformedMessage
from shared.kafka.clients import headers_of
from shared.outbox.signatures import TrustedKeys
from shared.runtime.trace import valid_traceparent

LONGEST_ID = 128
"""Characters of a broker's id; longer ids do not fit into an index entry."""

_KNOWN_TYPES = frozenset(event.event_type() for event in event_classes() if event.topic == EXIT_INTENTS)


@dataclass(frozen=True, slots=True)
class DiscardedEvent:
    """Event of a discard: if the original arrives late, it must not count."""

    event_id: UUID


class Irrelevant(StrEnum):
    """Reason to ignore a well-formed record."""

    NO_FILLS = "no_fills"
    UNKNOWN_TYPE = "unknown_type"


def read(record: Message, trusted: TrustedKeys) -> FillReport | DiscardedEvent | Irrelevant:
    """Return the fill report in the record. Unknown event types are ignored, because producers may add some.

    An event with effects is accepted only if a trusted key signed it.

    Raises
    ------
    MalformedMessage
        The CloudEvents id or type is missing, or the value does not match its type.
    UntrustedEvent
        The event would change a trade but lacks a valid signature of exit qualification.
    """
    headers = headers_of(record)
    event_id, event_type = _event_id(headers.get("ce_id", "")), headers.get("ce_type")
    if not event_type:
        raise MalformedMessage("no ce_type")
    if event_type == Discarded.event_type():
        trusted.verify(record, headers)
        return DiscardedEvent(event_id)
    if event_type not in FILL_TYPES:
        return Irrelevant.NO_FILLS if event_type in _KNOWN_TYPES else Irrelevant.UNKNOWN_TYPE
    event = read_fill_event(event_type, record.value())
    report = _report(event_id, event, valid_traceparent(headers.get("traceparent")))
    trusted.verify(record, headers)
    return report


def _event_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise MalformedMessage("ce_id is not a UUID" if text else "no ce_id") from error


def _report(event_id: UUID, event: FillEvent, traceparent: str | None) -> FillReport:
    fills = tuple(_fill(event, reported) for reported in event.fills)
    if isinstance(event, Filled) and total_quantity(fills) != event.filled_quantity:
        raise MalformedMessage(
            f"filled_quantity is {event.filled_quantity}, but the fills sum to {total_quantity(fills)}"
        )
    return FillReport(
        event_id=event_id,
        trade_id=event.trade_id,
        intent_id=event.intent_id,
        symbol=event.symbol,
        direction=event.direction,
        user_broker_id=event.user_broker_id,
        fills=fills,
        traceparent=traceparent,
    )


def _fill(event: FillEvent, reported: ReportedFill) -> Fill:
    price = amount(reported.price, "fills: price")
    if price <= 0:
        raise MalformedMessage("fills: every price must be positive")
    return Fill(
        intent_id=event.intent_id,
        broker_order_id=_broker_id(reported.broker_order_id),
        broker_trade_id=_broker_id(reported.broker_trade_id),
        exit_reason=event.exit_reason,
        quantity=reported.quantity,
        price=price,
        filled_at=reported.filled_at,
        trading_day=trading_day(reported.filled_at),
        target_leg=event.leg,
    )


def _broker_id(text: str) -> str:
    if not 0 < len(text) <= LONGEST_ID or not text.isprintable():
        raise MalformedMessage(f"fills: every broker id must be 1 to {LONGEST_ID} printable characters")
    return text
