"""Catch up: after a restore, continue an outbox behind Kafka's sequences.

Events found only in Kafka stay unknown to this database. Their sequences are not given again: readers know events by
topic, key and sequence, and none sees two events under one number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from confluent_kafka import Message

from services.outbox_relay.database.connection import Connection
from services.outbox_relay.restore.log_check import NOT_PASSED
from services.outbox_relay.restore.numbered_events import Authorship, Order, numbered_event
from shared.errors import Conflict
from shared.wording import plural

GIVEN = """
-- outbox.catch_up.given: the last sequences given by this database
SELECT topic, key, last FROM outbox_sequence WHERE topic = ANY (%(topics)s)
"""
WAITING = f"""
-- outbox.catch_up.waiting: events not published by the relay
SELECT e.topic, e.key, e.sequence, e.event_id::text
  FROM outbox_event e JOIN outbox_shard s USING (shard)
 WHERE {NOT_PASSED}
"""  # noqa: S608  # our own text alone
RAISE = """
-- outbox.catch_up.raise: in the order of writers' locks
INSERT INTO outbox_sequence AS s (topic, key, last)
SELECT topic, key, last FROM unnest(%(topics)s::text[], %(keys)s::text[], %(lasts)s::bigint[]) AS t(topic, key, last)
 ORDER BY topic, key
ON CONFLICT (topic, key) DO UPDATE SET last = EXCLUDED.last WHERE s.last < EXCLUDED.last
"""
RELEASE = """
-- outbox.catch_up.release: the relay compares again, unless an operator accepts the present records
UPDATE outbox_origin
   SET held_because = NULL,
       log_accepted_until = CASE WHEN %(accept)s THEN clock_timestamp() ELSE log_accepted_until END
"""
AUDIT = """
-- outbox.catch_up.audit
INSERT INTO audit_log (actor, action, subject, after, reason)
VALUES (%(actor)s, 'outbox.catch_up', current_schema(),
        jsonb_build_object('keys', %(keys)s::bigint, 'given_again', %(given_again)s::bigint), %(reason)s)
"""


@dataclass(frozen=True, slots=True)
class Behind:
    """A key with a later sequence in Kafka than in this database."""

    topic: str
    key: str
    here: int
    kafka: int


@dataclass(frozen=True)
class Comparison:
    """Difference between an outbox and Kafka.

    Attributes
    ----------
    behind:
        Keys behind Kafka, by topic and key.
    given_again:
        Waiting events with a sequence of another event in Kafka.
    """

    behind: tuple[Behind, ...]
    given_again: frozenset[str] = field(default_factory=frozenset)

    def refuse_sequences_given_again(self) -> None:
        """Return if no sequence was given again.

        Raises
        ------
        Conflict
            Publishing those events would show readers two events under one sequence.
        """
        if self.given_again:
            raise Conflict(
                f"{plural(len(self.given_again), 'event')} written since the restore have sequences of other events in "
                "Kafka: restore again and catch up before the services start, or pass --publish-new to publish them "
                "all the same"
            )


def compare(
    connection: Connection, topics: list[str], records: Iterable[Message], authorship: Authorship
) -> Comparison:
    """Compare an outbox with all records of its topics; changes nothing. The records are read after the database."""
    given: dict[Order, int] = {(topic, key): last for topic, key, last in connection.execute(GIVEN, {"topics": topics})}
    waiting = {(topic, key, sequence): event_id for topic, key, sequence, event_id in connection.execute(WAITING)}
    latest: dict[Order, int] = {}
    given_again = set()
    for record in records:
        event = numbered_event(record)
        if event is None:
            continue
        twin = waiting.get((*event.order, event.sequence))
        is_later = event.sequence > max(given.get(event.order, 0), latest.get(event.order, 0))
        is_twice = twin is not None and twin != event.event_id
        if (is_later or is_twice) and authorship.is_ours(event):
            if is_later:
                latest[event.order] = event.sequence
            if is_twice and twin is not None:
                given_again.add(twin)
    return Comparison(_behind(given, latest), frozenset(given_again))


def _behind(given: Mapping[Order, int], latest: Mapping[Order, int]) -> tuple[Behind, ...]:
    return tuple(Behind(*order, given.get(order, 0), last) for order, last in sorted(latest.items()))


def catch_up(connection: Connection, found: Comparison, actor: str, reason: str, *, accept: bool) -> None:
    """Raise the sequences to Kafka's and release the hold, in one transaction. Audited.

    `accept`: also accept the present records of Kafka, although waiting events have the same sequences.
    """
    facts = {"actor": actor, "reason": reason, "keys": len(found.behind), "given_again": len(found.given_again)}
    raised = {
        "topics": [each.topic for each in found.behind],
        "keys": [each.key for each in found.behind],
        "lasts": [each.kafka for each in found.behind],
    }
    with connection.transaction():
        connection.execute(RAISE, raised)
        connection.execute(RELEASE, {"accept": accept})
        connection.execute(AUDIT, facts)
