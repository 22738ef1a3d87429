"""Compare trade management's trades with the exit side's fills, and publish events of missing fills again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, Engine, TextClause, text

from services.outbox_relay.restore.republish import Range
from shared.kafka.consumer_gaps import ConsumerGaps
from shared.postgres.audit import Act
from shared.postgres.connection_limits import TOOLS
from shared.postgres.engine import open_engine
from shared.postgres.revisions import EXIT_QUALIFICATION, TRADE_MANAGEMENT

CONSUMER = "trade-fills"
"""Name of trade management's inbox and gaps."""

Fill = tuple[UUID, str]
"""Intent and the broker's trade id: the key of a stored fill, on both sides."""

EXIT_FILLS = text("""
-- reconcile.exit_fills
SELECT intent_id, broker_trade_id, trade_id FROM exit_fills
""")
TRADE_FILLS = text("""
-- reconcile.trade_fills
SELECT intent_id, broker_trade_id, trade_id FROM trade_fills
""")
OPEN_TRADES = text("""
-- reconcile.open_trades
SELECT trade_id FROM open_trades WHERE status = 'OPEN'
""")
KNOWN_TRADES = text("""
-- reconcile.known_trades
SELECT trade_id FROM trades WHERE trade_id = ANY (CAST(:trade_ids AS uuid[]))
""")
WAITING = text("""
-- reconcile.waiting
SELECT DISTINCT trade_id FROM waiting_fills WHERE trade_id = ANY (CAST(:trade_ids AS uuid[]))
""")
IN_INBOX = text("""
-- reconcile.in_inbox
SELECT event_id FROM inbox WHERE consumer = :consumer AND event_id = ANY (CAST(:event_ids AS uuid[]))
""")
EVENTS = text("""
-- reconcile.events: kept intent events of these trades, with the state of each
SELECT e.event_id, e.key, e.payload,
       EXISTS (SELECT FROM outbox_parked p WHERE p.event_id = e.event_id) AS is_parked,
       EXISTS (SELECT FROM outbox_discarded d WHERE d.event_id = e.event_id) AS is_discarded,
       pg_visible_in_snapshot(e.xid, s.snap) AS is_published
  FROM outbox_history e JOIN outbox_shard s USING (shard)
 WHERE e.topic = :topic AND e.key = ANY (CAST(:keys AS text[]))
   AND e.shard IN (SELECT hashtextextended(k, 0) & 63 FROM unnest(CAST(:keys AS text[])) k)
 ORDER BY e.id
""")


@dataclass(frozen=True, slots=True)
class MissingFill:
    """A fill present on one side only.

    Attributes
    ----------
    remedy:
        How to cure it: "republish"; "wait", without any action; or "none", and an operator has to decide.
    """

    trade_id: str
    intent_id: str
    broker_trade_id: str
    remedy: str
    why: str


@dataclass(frozen=True, slots=True)
class _Event:
    event_id: UUID
    fills: frozenset[Fill]
    state: str


@dataclass(frozen=True)
class Sides:
    """Both databases."""

    exits: Engine
    trades: Engine

    def compare(self, topic: str) -> list[MissingFill]:
        """Return the fills present on one side only, with the remedy for each.

        `topic` is the cluster's name of the topic of intent events.
        """
        before = _fills(self.trades, TRADE_FILLS)
        executed = _fills(self.exits, EXIT_FILLS)
        booked = _fills(self.trades, TRADE_FILLS)
        lacking = {fill: trade_id for fill, trade_id in executed.items() if fill not in booked}
        unknown = {fill: trade_id for fill, trade_id in before.items() if fill not in executed}
        judged = self._judge(topic, lacking)
        since = _fills(self.trades, TRADE_FILLS) if judged else {}  # trade-fills may have booked one meanwhile
        missing = [each for each in judged if (UUID(each.intent_id), each.broker_trade_id) not in since]
        missing += [
            _missing(fill, trade_id, "none", "the exit side has no such fill: was its database restored?")
            for fill, trade_id in sorted(unknown.items())
        ]
        return missing

    def _judge(self, topic: str, lacking: Mapping[Fill, UUID]) -> list[MissingFill]:
        if not lacking:
            return []
        trade_ids = sorted(set(lacking.values()))
        with self.trades.connect() as connection:
            known = set(connection.execute(KNOWN_TRADES, {"trade_ids": trade_ids}).scalars())
            waiting = set(connection.execute(WAITING, {"trade_ids": trade_ids}).scalars())
        with self.exits.connect() as connection:
            events = _events(connection, topic, trade_ids)
        with self.trades.connect() as connection:
            ids = {"consumer": CONSUMER, "event_ids": [event.event_id for event in events]}
            acted_upon = set(connection.execute(IN_INBOX, ids).scalars())
        judged = []
        for fill, trade_id in sorted(lacking.items()):
            if trade_id not in known:
                remedy, why = "none", "trade management does not know the trade: was its database restored?"
            elif trade_id in waiting:
                remedy, why = "wait", "trade-fills has it and waits for a lock or for rates"
            else:
                remedy, why = _remedy([event for event in events if fill in event.fills], acted_upon)
            judged.append(_missing(fill, trade_id, remedy, why))
        return judged

    def unknown_trades(self) -> list[str]:
        """Return the trades judged for exits and unknown to trade management; it writes a trade first."""
        with self.exits.connect() as connection:
            judged = connection.execute(OPEN_TRADES).scalars().all()
        with self.trades.connect() as connection:
            known = set(connection.execute(KNOWN_TRADES, {"trade_ids": judged}).scalars())
        return sorted(str(each) for each in judged if each not in known)

    def acknowledge_gaps(self, reason: str) -> list[int]:
        """Close the open gaps of trade-fills and return their ids. Audited."""
        with self.trades.begin() as connection:
            return ConsumerGaps(connection, CONSUMER).acknowledge(Act("cli", reason))


def _remedy(events: list[_Event], acted_upon: set[UUID]) -> tuple[str, str]:
    fresh = [event for event in events if event.event_id not in acted_upon]
    states = {event.state for event in fresh}
    if "published" in states:
        return "republish", "trade management has not acted upon the published event"
    if "unpublished" in states:
        return "wait", "the relay has not published the event yet"
    if "parked" in states:
        return "none", "the event is parked: exitflow outbox replay"
    if "discarded" in states:
        return "none", "the event was discarded"
    if events:
        return "none", "the inbox has the event as processed, but the fill is not stored"
    return "none", "retention has dropped the event"


def _events(connection: Connection, topic: str, trade_ids: list[UUID]) -> list[_Event]:
    rows = connection.execute(EVENTS, {"topic": topic, "keys": [str(each) for each in trade_ids]})
    events = []
    for row in rows:
        state = "published" if row.is_published else "unpublished"
        state = "discarded" if row.is_discarded else "parked" if row.is_parked else state
        events.append(_Event(row.event_id, _fills_in(bytes(row.payload)), state))
    return [event for event in events if event.fills]


def _fills_in(payload: bytes) -> frozenset[Fill]:
    """Return the fills in an intent event."""
    event = json.loads(payload)
    return frozenset((UUID(event["intent_id"]), fill["broker_trade_id"]) for fill in event.get("fills", []))


def _missing(fill: Fill, trade_id: UUID, remedy: str, why: str) -> MissingFill:
    return MissingFill(str(trade_id), str(fill[0]), fill[1], remedy, why)


def _fills(database: Engine, statement: TextClause) -> dict[Fill, UUID]:
    with database.connect() as connection:
        rows = connection.execute(statement)
        return {(row.intent_id, row.broker_trade_id): row.trade_id for row in rows}


def republished_range(topic: str, missing: list[MissingFill]) -> Range:
    """Return the events to publish again: all of the trades concerned, without a gap in any key."""
    return Range(topic, tuple(sorted({each.trade_id for each in missing if each.remedy == "republish"})))


@contextmanager
def both_sides(databases: Mapping[str, str]) -> Iterator[Sides]:
    """Open both databases; close them afterwards."""
    exits, trades = (
        open_engine(databases[schema], schema, application="exitflow-reconcile", limits=TOOLS)
        for schema in (EXIT_QUALIFICATION, TRADE_MANAGEMENT)
    )
    try:
        yield Sides(exits, trades)
    finally:
        exits.dispose()
        trades.dispose()
