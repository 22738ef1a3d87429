"""Rule 5: however often an event was delivered, it had its effect once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from services.cli.invariants.finding import Finding, Rule, finding
from services.cli.invariants.kafka_log import LogRecord
from services.cli.invariants.outbox_rows import ParkedRow
from services.cli.invariants.trade_books import TradeBooks
from shared.contracts.events import Event
from shared.contracts.exits import ExitIntentEvent, ExitIntentFilled, ExitIntentLateFill, ExitIntentPartiallyFilled
from shared.contracts.trades import TradeClosed, TradeOpened

_WITH_FILLS: tuple[type[ExitIntentEvent], ...] = (ExitIntentFilled, ExitIntentPartiallyFilled, ExitIntentLateFill)


def check_effects(trades: TradeBooks, parked: Sequence[ParkedRow], log: Sequence[LogRecord]) -> Finding:
    """Compare what was delivered with what the trades have become; of what is parked or discarded nobody was told."""
    distinct = {record.event_id: record for record in log}
    told = {event_id for event_id, record in distinct.items() if record.event_type in _types(*_WITH_FILLS)}
    closed = {str(trade.trade_id) for trade in trades.trades.values() if trade.is_closed}
    violations = [
        *(f"event {event_id} told of fills and was not acted upon" for event_id in sorted(told - trades.inbox)),
        *(f"event {event_id} was acted upon and is not in Kafka" for event_id in sorted(trades.inbox - set(distinct))),
        *_not_once(distinct.values(), TradeClosed, closed - _untold(parked, TradeClosed)),
        *_not_once(distinct.values(), TradeOpened, set(map(str, trades.trades)) - _untold(parked, TradeOpened)),
    ]
    return finding(Rule.EFFECTS, len(distinct), violations, f"{len(log) - len(distinct)} duplicates delivered")


def _not_once(records: Iterable[LogRecord], event: type[Event], expected: set[str]) -> Iterator[str]:
    told = Counter(_trade_of(record) for record in records if record.event_type in _types(event))
    for trade_id in sorted(expected | set(told)):
        wanted = 1 if trade_id in expected else 0
        if told[trade_id] != wanted:
            yield f"trade {trade_id} has {told[trade_id]} {event.__name__} events, not {wanted}"


def _untold(parked: Iterable[ParkedRow], event: type[Event]) -> set[str]:
    return {str(row.subject) for row in parked if row.event_type in _types(event)}


def _trade_of(record: LogRecord) -> str:
    try:
        return str(json.loads(record.payload)["trade_id"])
    except (ValueError, KeyError, TypeError):
        return f"unreadable at {record.where}"


def _types(*events: type[Event]) -> set[str]:
    return {event.event_type() for event in events}
