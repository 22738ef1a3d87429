"""Rule 5: however often an event was delivered, it had its effect once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from services.checker.finding import Finding, Rule, finding
from services.checker.kafka_log import LogRecord, Removed
from services.checker.outbox_rows import ParkedRow
from services.checker.trade_books import TradeBooks
from shared.contracts.events import Event
from shared.contracts.exits import ExitIntentEvent, ExitIntentFilled, ExitIntentLateFill, ExitIntentPartiallyFilled
from shared.contracts.topics import EXIT_INTENTS
from shared.contracts.trades import TradeClosed, TradeOpened
from shared.wording import plural

_WITH_FILLS: tuple[type[ExitIntentEvent], ...] = (ExitIntentFilled, ExitIntentPartiallyFilled, ExitIntentLateFill)


def check_effects(
    trades: TradeBooks,
    parked: Sequence[ParkedRow],
    log: Sequence[LogRecord],
    removed: Removed = Removed(),  # immutable
) -> Finding:
    """Compare delivered events with the state of the trades; parked or discarded events were not delivered.

    An event with a pruned inbox row counts as processed if its fills are stored. Where Kafka removed records of a
    topic, effects without an event are not judged.
    """
    distinct = {record.event_id: record for record in log}
    told = {event_id for event_id, record in distinct.items() if record.event_type in _types(*_WITH_FILLS)}
    closed = {str(trade.trade_id) for trade in trades.trades.values() if trade.is_closed}
    violations = [
        *(
            f"event {event_id} told of fills and was not acted upon"
            for event_id in sorted(told - trades.inbox)
            if not _executions_of(distinct[event_id]) <= trades.executions
        ),
        *(
            f"event {event_id} was acted upon and is not in Kafka"
            for event_id in sorted(trades.inbox - set(distinct))
            if not removed.from_topic(EXIT_INTENTS)
        ),
        *_not_once(distinct.values(), TradeClosed, closed - _untold(parked, TradeClosed), removed),
        *_not_once(
            distinct.values(), TradeOpened, set(map(str, trades.trades)) - _untold(parked, TradeOpened), removed
        ),
    ]
    note = f"{len(log) - len(distinct)} duplicates delivered"
    if removed.partitions:
        note += "; Kafka removed records: effects of those are not judged"
    return finding(Rule.EFFECTS, len(distinct), violations, note)


def _executions_of(record: LogRecord) -> set[tuple[str, str]]:
    """Return a record's executions as order and trade id; unreadable content matches no stored fill."""
    try:
        fills = json.loads(record.payload)["fills"]
        return {(str(fill["broker_order_id"]), str(fill["broker_trade_id"])) for fill in fills}
    except (ValueError, KeyError, TypeError):
        return {("unreadable", record.where)}


def _not_once(records: Iterable[LogRecord], event: type[Event], expected: set[str], removed: Removed) -> Iterator[str]:
    told = Counter(_trade_of(record) for record in records if record.event_type in _types(event))
    for trade_id in sorted(expected | set(told)):
        wanted = 1 if trade_id in expected else 0
        if told[trade_id] == 0 and removed.from_topic(event.topic):
            continue
        if told[trade_id] != wanted:
            yield f"trade {trade_id} has {plural(told[trade_id], f'{event.__name__} event')}, not {wanted}"


def _untold(parked: Iterable[ParkedRow], event: type[Event]) -> set[str]:
    return {str(row.subject) for row in parked if row.event_type in _types(event)}


def _trade_of(record: LogRecord) -> str:
    try:
        return str(json.loads(record.payload)["trade_id"])
    except (ValueError, KeyError, TypeError):
        return f"unreadable at {record.where}"


def _types(*events: type[Event]) -> set[str]:
    return {event.event_type() for event in events}
