"""LogCheck: hold an outbox with a database behind Kafka, as after a restored backup or a failover.

A backup takes sequences, rows and the relay's progress back together, so the database alone looks right. Kafka keeps
the events published since. Its last records show it: an event whose sequence this database has not given yet, or has
given again to another event. Every published event was committed before, so the records are read first and the
database after.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, LiteralString, NamedTuple

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from services.outbox_relay.database.connection import Connection
from services.outbox_relay.restore.log_reader import read_records
from services.outbox_relay.restore.numbered_events import Authorship, NumberedEvent, numbered_event, published_topics
from services.outbox_relay.shards.server_identity import refuse_foreign_progress
from shared.clock import Clock
from shared.errors import Conflict, Unavailable, first_line
from shared.settings import Settings
from shared.wording import plural

log = logging.getLogger(__name__)

TAIL_RECORDS = 50
"""Records to compare in each partition; a takeover leaves fewer repeated older events at the end."""
READ_LIMIT_S = 15.0
WAITING_PER_SHARD = 500
"""Oldest waiting events to compare in each shard: events written after a restore are among the first."""

REFUSALS = frozenset({KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED})

SILENCE = frozenset({KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN})

ORIGIN = """
-- outbox.log_check.origin: a restored server was started again
SELECT pg_postmaster_start_time(), held_because, log_accepted_until FROM outbox_origin
"""
NOT_PASSED: LiteralString = """
  e.xid >= pg_snapshot_xmin(s.snap) AND NOT pg_visible_in_snapshot(e.xid, s.snap)
    AND NOT (e.id <= s.pos AND coalesce(pg_visible_in_snapshot(e.xid, s.next_snap), false))
    AND NOT EXISTS (SELECT FROM outbox_parked p WHERE p.event_id = e.event_id)
    AND NOT EXISTS (SELECT FROM outbox_discarded d WHERE d.event_id = e.event_id)
"""
"""The event `e` of shard `s` is neither published nor parked."""

UNKNOWN: LiteralString = f"""
-- outbox.log_check.unknown: events of Kafka with sequences not given here, or given here to other events not published
-- yet; the events are counted from 1
WITH found AS MATERIALIZED (
  SELECT * FROM unnest(%(topics)s::text[], %(keys)s::text[], %(sequences)s::bigint[], %(event_ids)s::text[])
           WITH ORDINALITY AS t(topic, key, sequence, event_id, n)
), waiting AS MATERIALIZED (
  SELECT e.topic, e.key, e.sequence, e.event_id
    FROM outbox_shard s
   CROSS JOIN LATERAL (SELECT e.topic, e.key, e.sequence, e.event_id::text FROM outbox_event e
                        WHERE e.shard = s.shard AND {NOT_PASSED}
                        ORDER BY e.xid LIMIT %(waiting)s) e
)
SELECT t.n FROM found t LEFT JOIN outbox_sequence q USING (topic, key)
 WHERE coalesce(q.last, 0) < t.sequence
    OR EXISTS (SELECT FROM waiting w WHERE w.topic = t.topic AND w.key = t.key AND w.sequence = t.sequence
                                       AND w.event_id <> t.event_id)
 ORDER BY t.n
"""  # noqa: S608  # our own text alone
HOLD = """
-- outbox.log_check.hold
UPDATE outbox_origin SET held_because = %(why)s WHERE held_because IS DISTINCT FROM %(why)s
"""


class OutboxBehindKafka(Conflict):
    """Kafka has events unknown to the database; an operator has to decide."""

    code = "outbox_behind_kafka"


class Origin(NamedTuple):
    """The server's start, and the hold as stored; a check is repeated when one of them has changed."""

    server_started: datetime
    held_because: str | None
    accepted_until: datetime | None


class LogCheck:
    """Check of one relay's outbox: when the relay begins, after a start of the server, and after `catch-up`."""

    def __init__(self, schema: str, settings: Settings, admin: AdminClient, clock: Clock) -> None:
        self._settings = settings
        self._admin = admin
        self._clock = clock
        self._topics = published_topics(schema, settings)
        self._authorship = Authorship(schema, settings)
        self._checked: Origin | None = None

    def refuse_if_behind(self, connection: Connection) -> str | None:
        """Return if this database knows the last events of Kafka; else hold the outbox.

        Returns a note for operators if Kafka does not let this user read its topics: then nothing was compared.

        Raises
        ------
        OutboxBehindKafka
            It does not know some; nothing may be published or consumed.
        ConfigurationError
            The outbox came from another server.
        KafkaException, Unavailable, psycopg.Error
            Kafka or the database does not answer.
        """
        refuse_foreign_progress(connection)
        origin = _origin(connection)
        if origin == self._checked:
            if origin.held_because is not None:
                raise OutboxBehindKafka(origin.held_because)
            return None
        try:
            unknown = self._unknown(connection, origin.accepted_until)
        except KafkaException as error:
            if error.args[0].code() in REFUSALS:
                return _not_compared(error)
            if error.args[0].code() in SILENCE:
                raise Unavailable("Kafka does not answer") from error
            raise
        self._hold(connection, origin, unknown)
        return None

    def _hold(self, connection: Connection, origin: Origin, unknown: Sequence[NumberedEvent]) -> None:
        why = _describe(unknown) if unknown else None
        connection.execute(HOLD, {"why": why})
        self._checked = origin._replace(held_because=why)
        if why is not None:
            raise OutboxBehindKafka(why)
        if origin.held_because is not None:
            log.warning("the outbox is not held any more: the database knows the last events of Kafka")

    def _unknown(self, connection: Connection, accepted_until: datetime | None) -> list[NumberedEvent]:
        records = read_records(
            self._settings, self._admin, self._topics, self._clock, limit_s=READ_LIMIT_S, last=TAIL_RECORDS
        )
        events = [event for record in records if (event := numbered_event(record))]
        compared = [event for event in events if not _is_accepted(event, accepted_until)]
        rows = connection.execute(UNKNOWN, _columns(compared)).fetchall()
        return [event for (n,) in rows if self._authorship.is_ours(event := compared[n - 1])]


def _origin(connection: Connection) -> Origin:
    row = connection.execute(ORIGIN).fetchone()
    assert row is not None
    return Origin(*row)


def _is_accepted(event: NumberedEvent, until: datetime | None) -> bool:
    return until is not None and datetime.fromtimestamp(event.record.timestamp()[1] / 1000, UTC) <= until


def _columns(events: Sequence[NumberedEvent]) -> dict[str, Any]:
    return {
        "topics": [each.topic for each in events],
        "keys": [each.key for each in events],
        "sequences": [each.sequence for each in events],
        "event_ids": [each.event_id for each in events],
        "waiting": WAITING_PER_SHARD,
    }


def _describe(unknown: Sequence[NumberedEvent]) -> str:
    first = unknown[0]
    return (
        f"Kafka has at least {plural(len(unknown), 'event')} unknown to this database, e.g. {first.topic} key "
        f"{first.key} sequence {first.sequence}: it was restored, or a standby took over without its last "
        "transactions; stop the services, then restore a newer backup or run `exitflow outbox catch-up --dry-run`"
    )


def _not_compared(error: KafkaException) -> str:
    note = (
        f"the database is not compared with Kafka, so a restored backup would not be noticed ({first_line(error)}); "
        "let this Kafka user read the topics it writes, see docs/runbooks/kafka.md"
    )
    log.warning(note)
    return note
