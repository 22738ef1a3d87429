"""Republish: send kept events of a topic again, under their ids, with their stored headers and signatures.

Only events published by the relay are sent again, so no first occurrence can overtake an earlier one.
Parked and unpublished events are the relay's. Readers with an inbox drop every event they know.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from services.outbox_relay.database.connection import Connection
from services.outbox_relay.publishing.first_records import Place, place_of
from services.outbox_relay.publishing.topic_layouts import ANY_PARTITION, KNOWN
from services.outbox_relay.records import COLUMNS, ID, KEY, PAYLOAD, TOPIC, Row, headers_of_row
from shared.errors import Conflict
from shared.kafka.clients import home_partition, open_producer
from shared.kafka.confirmed_producer import ConfirmedProducer
from shared.settings import Settings

ROWS_AT_ONCE = 2_000
"""Sent and confirmed together; progress is told after each."""

MISSING_SHOWN = 5

_OF_TOPIC: LiteralString = """
  e.topic = %(topic)s
    AND (%(keys)s::text[] IS NULL
         OR e.key = ANY (%(keys)s) AND e.shard IN (SELECT hashtextextended(k, 0) & 63 FROM unnest(%(keys)s) k))
"""
_IN_RANGE: LiteralString = """
  e.id >= %(from_id)s AND (%(since)s::timestamptz IS NULL OR e.created_at >= %(since)s)
"""
_PUBLISHED: LiteralString = """
  (pg_visible_in_snapshot(e.xid, s.snap)
    OR e.id <= s.pos AND coalesce(pg_visible_in_snapshot(e.xid, s.next_snap), false))
    AND NOT EXISTS (SELECT FROM outbox_parked p WHERE p.event_id = e.event_id)
    AND NOT EXISTS (SELECT FROM outbox_discarded d WHERE d.event_id = e.event_id)
"""

SUMMARY: LiteralString = f"""
-- outbox.republish.summary
SELECT e.key, min(e.sequence), max(e.sequence), count(*)
  FROM outbox_history e JOIN outbox_shard s USING (shard)
 WHERE {_OF_TOPIC} AND {_IN_RANGE} AND {_PUBLISHED}
 GROUP BY e.key ORDER BY e.key
"""  # noqa: S608  # our own text alone

DROPPED: LiteralString = f"""
-- outbox.republish.dropped: given numbers without a kept row
WITH kept AS (
  SELECT e.key, e.sequence FROM outbox_history e WHERE {_OF_TOPIC}
   UNION
  SELECT e.key, e.sequence FROM outbox_parked e WHERE {_OF_TOPIC}
   UNION
  SELECT e.key, e.sequence FROM outbox_discarded e WHERE {_OF_TOPIC}
), holes AS (
  SELECT key, lag(sequence, 1, 0::bigint) OVER (PARTITION BY key ORDER BY sequence) + 1 AS first, sequence - 1 AS last
    FROM kept
   UNION ALL
  SELECT q.key, coalesce((SELECT max(k.sequence) FROM kept k WHERE k.key = q.key), 0) + 1, q.last
    FROM outbox_sequence q
   WHERE q.topic = %(topic)s AND (%(keys)s::text[] IS NULL OR q.key = ANY (%(keys)s))
)
SELECT key, first, last FROM holes WHERE first <= last ORDER BY key, first
"""  # noqa: S608  # our own text alone

DISCARDED: LiteralString = f"""
-- outbox.republish.discarded: events replaced by a Discarded event, itself not kept
SELECT e.key, e.sequence, e.sequence
  FROM outbox_history e JOIN outbox_discarded d USING (event_id)
 WHERE {_OF_TOPIC} AND {_IN_RANGE}
 ORDER BY e.key, e.sequence
"""  # noqa: S608  # our own text alone

HORIZON = """
-- outbox.republish.horizon: every row dropped by retention was written before this moment
SELECT min(from_at) FROM outbox_partition WHERE from_at IS NOT NULL
"""

WRITTEN_FROM: LiteralString = f"""
-- outbox.republish.written_from
SELECT min(e.created_at) FROM outbox_history e WHERE {_OF_TOPIC} AND {_IN_RANGE}
"""  # noqa: S608  # our own text alone

ROWS: LiteralString = f"""
-- outbox.republish.rows: per key the order of ids is the order of sequences
SELECT {COLUMNS}
  FROM outbox_history e JOIN outbox_shard s USING (shard)
 WHERE {_OF_TOPIC} AND {_IN_RANGE} AND {_PUBLISHED}
 ORDER BY e.id
"""  # noqa: S608  # our own text alone

AUDIT = """
-- outbox.republish.audit
INSERT INTO audit_log (actor, action, subject, after, reason)
VALUES (%(actor)s, 'outbox.republish', %(topic)s,
        jsonb_build_object('keys', %(keys)s::text[], 'from_id', %(from_id)s::bigint, 'since', %(since)s::timestamptz,
                           'events', %(events)s::bigint, 'missing', %(missing)s::bigint),
        %(reason)s)
"""


@dataclass(frozen=True, slots=True)
class Range:
    """The range to send again.

    Attributes
    ----------
    topic:
        As the cluster names it.
    keys:
        These keys only; all if None.
    from_id:
        Rows from this position on.
    since:
        Rows written then or later.
    """

    topic: str
    keys: tuple[str, ...] | None = None
    from_id: int = 0
    since: datetime | None = None

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of the statements."""
        keys = None if self.keys is None else list(self.keys)
        return {"topic": self.topic, "keys": keys, "from_id": self.from_id, "since": self.since}


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """The events of one key to send again: how many, from which sequence to which."""

    key: str
    first: int
    last: int
    events: int


@dataclass(frozen=True, slots=True)
class Missing:
    """Sequences of a key, from `first` to `last`, that cannot be sent again, and why."""

    key: str
    first: int
    last: int
    why: str

    def __str__(self) -> str:
        numbers = str(self.first) if self.first == self.last else f"{self.first} to {self.last}"
        return f"{self.key} {numbers} ({self.why})"


@dataclass(frozen=True, slots=True)
class Plan:
    """The events of a range to republish, and the missing ones."""

    keys: tuple[KeyPlan, ...]
    missing: tuple[Missing, ...]

    @property
    def events(self) -> int:
        """Return how many events are sent."""
        return sum(each.events for each in self.keys)

    def refuse_gaps(self) -> None:
        """Return if nothing is missing.

        Raises
        ------
        Conflict
            Readers would see gaps in the sequences.
        """
        if self.missing:
            named = "; ".join(map(str, self.missing[:MISSING_SHOWN]))
            more = len(self.missing) - MISSING_SHOWN
            raise Conflict(
                f"sequences are missing: {named}{f'; and {more} more' if more > 0 else ''}; narrow --since or --key, "
                "or pass --allow-gaps to publish the kept ones"
            )


def plan(connection: Connection, what: Range) -> Plan:
    """Return what republishing would send. Changes nothing."""
    parameters = what.parameters()
    keys = tuple(KeyPlan(*row) for row in connection.execute(SUMMARY, parameters))
    missing = _missing(connection, DISCARDED, parameters, "discarded")
    if _reaches_what_was_dropped(connection, what):
        missing += _missing(connection, DROPPED, parameters, "dropped by retention")
    return Plan(keys, tuple(sorted(missing, key=lambda each: (each.key, each.first))))


def _missing(connection: Connection, statement: LiteralString, parameters: dict[str, Any], why: str) -> list[Missing]:
    return [Missing(key, first, last, why) for key, first, last in connection.execute(statement, parameters)]


def _reaches_what_was_dropped(connection: Connection, what: Range) -> bool:
    since = what.since
    if what.from_id:
        row = connection.execute(WRITTEN_FROM, what.parameters()).fetchone()
        since = row[0] if row else None
    horizon = connection.execute(HORIZON).fetchone()
    return since is None or horizon is None or horizon[0] is None or since < horizon[0]


def republish(
    connection: Connection, settings: Settings, what: Range, on_progress: Callable[[int, int], None] = lambda *_: None
) -> int:
    """Send the range again and return the number of events.

    Parameters
    ----------
    on_progress:
        Called with the number of events in Kafka, and the position from which to go on after a failure.

    Raises
    ------
    Unavailable
        Kafka did not take everything; go on from the last position.
    """
    producer = ConfirmedProducer(open_producer(settings, enable_gapless_guarantee=True))
    partitions = {topic: count for topic, _, count in connection.execute(KNOWN)}
    known: defaultdict[str, set[Place]] = defaultdict(set)
    sent = 0
    with connection.transaction():
        for rows in _chunks(connection, what):
            for row in rows:
                _send(producer, row, partitions.get(row[TOPIC]), known[row[TOPIC]])
            producer.flush()
            sent += len(rows)
            on_progress(sent, rows[-1][ID] + 1)
    return sent


def _chunks(connection: Connection, what: Range) -> Iterator[Sequence[Row]]:
    with connection.cursor("republish") as cursor:
        cursor.execute(ROWS, what.parameters())
        while rows := cursor.fetchmany(ROWS_AT_ONCE):
            yield rows


def _send(producer: ConfirmedProducer, row: Row, partitions: int | None, known: set[Place]) -> None:
    """Send a row; wait for the acknowledgement of a place's first one (`first_records` says why)."""
    topic, key = row[TOPIC], row[KEY]
    partition = ANY_PARTITION if partitions is None else home_partition(key, partitions)
    producer.send(topic, value=row[PAYLOAD], key=key, partition=partition, headers=headers_of_row(row))
    place = place_of(key, partition)
    if place not in known:
        producer.flush()
        known.add(place)


def audit(connection: Connection, what: Range, planned: Plan, actor: str, reason: str) -> None:
    """Record the coming republication, its reason and its actor."""
    missing = sum(each.last - each.first + 1 for each in planned.missing)
    facts = {"events": planned.events, "missing": missing, "actor": actor, "reason": reason}
    connection.execute(AUDIT, what.parameters() | facts)
