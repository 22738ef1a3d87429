"""Interpretation of Kafka records. Pure: records in, a batch of ticks and entries out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from services.paper_broker.accounts import account_name
from services.paper_broker.book_time import to_ms
from services.paper_broker.orders import MAX_VALUE_UNITS
from services.paper_broker.positions import Entry
from services.paper_broker.quotes import PriceTick
from shared.contracts.discarded import ANY_TOPIC
from shared.contracts.events import event_classes, parse_event
from shared.contracts.ticks import parse_tick
from shared.contracts.topics import MARKET_TICKS, TRADES
from shared.contracts.trades import TradeAdjusted, TradeOpened
from shared.errors import MalformedMessage
from shared.kafka.record_faults import Fault, read_record
from shared.money import to_units
from shared.outbox.signatures import UntrustedEvent

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

BOOKED: Final = frozenset({TradeOpened.event_type(), TradeAdjusted.event_type()})
"""Types of events with bookings."""
_WITHOUT_BOOKING: Final = (
    frozenset(event.event_type() for event in event_classes() if event.topic in (TRADES, ANY_TOPIC)) - BOOKED
)
"""Most are closures: the fill of the exit's order has booked them already."""

LEAST_PRICE_UNITS = 1
"""Price of shares from a corporate action: the ledger holds no price of zero."""
_LAST_INSTANT = datetime(2200, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class FeedRecord:
    """Kafka record: logical topic, cluster topic name, partition and offset, value and arrival time.

    `is_trusted` is False for one of the `BOOKED` events without a valid signature of trade management.
    """

    topic: str
    cluster_topic: str
    partition: int
    offset: int
    event_type: str
    value: bytes | None
    arrived_ms: int = 0
    is_trusted: bool = True


@dataclass(slots=True)
class FeedBatch:
    """Result of a poll: ticks and entries in order, the next offsets, and unreadable records."""

    ticks: list[PriceTick] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    offsets: dict[tuple[str, int], int] = field(default_factory=dict)
    refused: list[tuple[FeedRecord, Fault]] = field(default_factory=list)


def read_batch(records: Iterable[FeedRecord]) -> FeedBatch:
    """Read records in order. Collect unreadable records separately; their offsets advance with the rest."""
    batch = FeedBatch()
    for record in records:
        try:
            read_record(_read, record, batch)
        except MalformedMessage as error:
            batch.refused.append((record, Fault(error.code, str(error))))
        batch.offsets[record.cluster_topic, record.partition] = record.offset + 1
    return batch


def _read(record: FeedRecord, batch: FeedBatch) -> None:
    if record.topic == MARKET_TICKS:
        batch.ticks.append(read_tick(record.value, record.arrived_ms))
        return
    if record.event_type in _WITHOUT_BOOKING:
        return
    event = parse_event(record.event_type, record.value)
    if not record.is_trusted:
        raise UntrustedEvent("not signed by trade management")
    if isinstance(event, TradeOpened):
        batch.entries.append(entry_of(event))
    elif isinstance(event, TradeAdjusted):
        batch.entries += adjustments_of(event)


def read_tick(value: bytes | None, arrived_ms: int) -> PriceTick:
    """Return the tick in a record's value; raise MalformedMessage if there is none."""
    return PriceTick(*parse_tick(value), arrived_ms)


def entry_of(event: TradeOpened) -> Entry:
    """Return the entry booked at the account for an opened trade; its exit arrives later as an order.

    Raises
    ------
    MalformedMessage
        The trade's value exceeds the ledger's limit, or its entry time is impossible.
    """
    _refuse_impossible(event.entered_at)
    price_units = to_units(event.entry_price)
    if event.quantity * price_units > MAX_VALUE_UNITS:
        raise MalformedMessage(f"trade {event.trade_id} is worth more than this broker can book")
    return Entry(
        trade_id=str(event.trade_id),
        account=account_name(event.user_broker_id),
        symbol=event.symbol,
        product=event.product_type.value,
        signed_quantity=event.direction.sign * event.quantity,
        price_units=price_units,
        at_ms=to_ms(event.entered_at),
    )


def adjustments_of(event: TradeAdjusted) -> list[Entry]:
    """Return the bookings of a corporate action: shares for nothing, and for a rename the position moved."""
    _refuse_impossible(event.adjusted_at)

    def booking(name: str, symbol: str, quantity: int, price_units: int) -> Entry:
        return Entry(
            trade_id=f"{event.trade_id}/{event.plan_version}/{name}",
            account=account_name(event.user_broker_id),
            symbol=symbol,
            product=event.product_type.value,
            signed_quantity=event.direction.sign * quantity,
            price_units=price_units,
            at_ms=to_ms(event.adjusted_at),
        )

    before, after = event.open_quantity_before, event.open_quantity
    if event.new_symbol == event.symbol:
        return [booking("shares", event.symbol, after - before, LEAST_PRICE_UNITS)] if after != before else []
    price_units = to_units(event.entry_price)
    return [booking("out", event.symbol, -before, price_units), booking("in", event.new_symbol, after, price_units)]


def _refuse_impossible(instant: datetime) -> None:
    """Reject times near the limits of datetime: they cannot be converted between time zones."""
    if not _EPOCH <= instant < _LAST_INSTANT:
        raise MalformedMessage(f"time out of range: {instant.isoformat()}")
