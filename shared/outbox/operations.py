"""Operator actions on an outbox: inspect, decide parked events, pause shards; each is audited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, TextClause, text

from shared.contracts.discarded import Discarded
from shared.errors import NotFound
from shared.outbox.backlog import WAITING
from shared.outbox.signatures import EventSigner, SignedParts
from shared.postgres.audit import Act, audit

SHARDS = text(f"""
-- outbox.shards: an expired lease has no owner
SELECT s.shard, CASE WHEN s.lease_until > clock_timestamp() THEN s.owner END AS owner, s.paused, s.epoch,
       CASE WHEN isfinite(s.lease_until) THEN s.lease_until END AS lease_until, waiting.backlog,
       extract(epoch FROM clock_timestamp() - waiting.oldest)::float8 AS oldest_age_s,
       coalesce(p.parked, 0) AS parked, coalesce(p.requested, 0) AS requested
  FROM outbox_shard s
 CROSS JOIN LATERAL ({WAITING}) waiting
  LEFT JOIN (SELECT shard, count(*) AS parked, count(request) AS requested FROM outbox_parked GROUP BY shard) p
         ON p.shard = s.shard
 ORDER BY s.shard
""")  # noqa: S608  # our own text alone
PARKED = text("""
-- outbox.parked: each key in order
SELECT event_id, shard, topic, key, sequence, ce_type AS event_type,
       octet_length(payload) AS payload_bytes, reason, parked_at, request, requested_by, requested_at, request_reason
  FROM outbox_parked
 WHERE (CAST(:topic AS text) IS NULL OR topic = :topic) AND (CAST(:key AS text) IS NULL OR key = :key)
   AND (CAST(:after_topic AS text) IS NULL OR (topic, key, sequence) > (:after_topic, :after_key, :after_sequence))
 ORDER BY topic, key, sequence LIMIT :limit
""")
FIND = text("""
-- outbox.find_parked
SELECT topic, key FROM outbox_parked WHERE event_id = :event_id
""")
HOLD = text("""
-- outbox.hold_parked
SELECT topic, key, sequence, ce_type, ce_source, ce_subject, ce_time, request
  FROM outbox_parked WHERE event_id = :event_id FOR UPDATE
""")
COUNT = text("""
-- outbox.count_parked: and lock them, in the relay's order
SELECT count(*) AS parked, count(request) AS requested FROM (
  SELECT request FROM outbox_parked
   WHERE topic = :topic AND (CAST(:key AS text) IS NULL OR key = :key)
   ORDER BY event_id FOR UPDATE) locked
""")
REPLAY = text("""
-- outbox.request_replay: an event already decided by an operator stays as it is
UPDATE outbox_parked
   SET request = 'REPLAY', requested_by = :actor, requested_at = clock_timestamp(), request_reason = :reason
 WHERE topic = :topic AND (CAST(:key AS text) IS NULL OR key = :key) AND request IS NULL
""")
DISCARD = text("""
-- outbox.request_discard: the relay makes the same Discarded event of these values, and sends this signature with it
UPDATE outbox_parked
   SET request = 'DISCARD', requested_by = :actor, requested_at = :at, request_reason = :reason,
       discard_signature = :signature
 WHERE event_id = :event_id
""")
FIND_SHARD = text("""
-- outbox.find_shard
SELECT paused FROM outbox_shard WHERE shard = :shard FOR UPDATE
""")
PAUSE = text("""
-- outbox.pause: relays look for it a few times a second
UPDATE outbox_shard SET paused = :paused WHERE shard = :shard
""")


class NotParked(NotFound):
    """No matching event is parked: it never was, or is already replayed or discarded."""

    code = "not_parked"


@dataclass(frozen=True, slots=True)
class ShardState:
    """A shard's state in the database; `backlog` counts the inspected events, ages are in seconds."""

    shard: int
    owner: UUID | None
    paused: bool
    epoch: int
    lease_until: datetime | None
    backlog: int
    oldest_age_s: float | None
    parked: int
    requested: int


@dataclass(frozen=True, slots=True)
class ParkedEvent:
    """An event waiting for an operator, or for an earlier event of its key."""

    event_id: UUID
    shard: int
    topic: str
    key: str
    sequence: int
    event_type: str
    payload_bytes: int
    reason: str
    parked_at: datetime
    request: str | None
    requested_by: str | None
    requested_at: datetime | None
    request_reason: str | None


@dataclass(frozen=True, slots=True)
class WantedParked:
    """A filter of parked events, and the (topic, key, sequence) to continue after."""

    topic: str | None
    key: str | None
    after: tuple[str, str, int] | None
    limit: int


@dataclass(frozen=True, slots=True)
class Requested:
    """Numbers of events waiting for the relay: by this request, and by earlier ones."""

    requested: int
    already_requested: int


class OutboxOperations:
    """Operator's view of the outbox in the connection's schema. Commits nothing."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def shards(self) -> list[ShardState]:
        """Return every shard, by number."""
        return [ShardState(**row._mapping) for row in self._connection.execute(SHARDS)]

    def parked(self, wanted: WantedParked) -> list[ParkedEvent]:
        """Return parked events by topic, key and sequence."""
        topic, key, sequence = wanted.after or (None, None, None)
        after = {"after_topic": topic, "after_key": key, "after_sequence": sequence}
        parameters = {"topic": wanted.topic, "key": wanted.key, "limit": wanted.limit, **after}
        return [ParkedEvent(**row._mapping) for row in self._connection.execute(PARKED, parameters)]

    def replay_event(self, event_id: UUID, act: Act) -> Requested:
        """Request publishing all parked events of this event's key.

        Raises
        ------
        NotParked
            The event is not parked.
        """
        found = self._parked_event(FIND, event_id)
        return self.replay(found.topic, found.key, act)

    def replay(self, topic: str, key: str | None, act: Act) -> Requested:
        """Request publishing all parked events of a key or a whole topic, each key in order.

        Raises
        ------
        NotParked
            There is nothing.
        """
        named = {"topic": topic, "key": key}
        counted = self._connection.execute(COUNT, named).one()
        if not counted.parked:
            raise NotParked(f"no event of {topic}{'' if key is None else f' with the key {key}'} is parked")
        requested = self._connection.execute(REPLAY, {**named, **asdict(act)}).rowcount
        audit(
            self._connection,
            act,
            "outbox.replay",
            topic if key is None else f"{topic} {key}",
            {"parked": counted.parked, "requested": counted.requested},
            {"parked": counted.parked, "requested": counted.requested + requested},
        )
        return Requested(requested, counted.parked - requested)

    def discard(self, event_id: UUID, act: Act, at: datetime, signer: EventSigner) -> None:
        """Request replacing a parked event by a Discarded event, signed by the outbox's service.

        Raises
        ------
        NotParked
            The event is not parked.
        """
        found = self._parked_event(HOLD, event_id)
        signature = signer.sign(_discarded_parts(event_id, found, act, at))
        self._connection.execute(DISCARD, {"event_id": event_id, "at": at, "signature": signature, **asdict(act)})
        audit(
            self._connection, act, "outbox.discard", str(event_id), {"request": found.request}, {"request": "DISCARD"}
        )

    def pause(self, shard: int, paused: bool, act: Act) -> None:
        """Stop or go on publishing a shard.

        Raises
        ------
        NotFound
            There is no such shard.
        """
        found = self._connection.execute(FIND_SHARD, {"shard": shard}).one_or_none()
        if found is None:
            raise NotFound(f"no shard {shard}")
        self._connection.execute(PAUSE, {"shard": shard, "paused": paused})
        action = "outbox.pause" if paused else "outbox.resume"
        audit(self._connection, act, action, f"shard {shard}", {"paused": found.paused}, {"paused": paused})

    def _parked_event(self, look_up: TextClause, event_id: UUID) -> Row[Any]:
        found = self._connection.execute(look_up, {"event_id": event_id}).one_or_none()
        if found is None:
            raise NotParked(f"event {event_id} is not parked")
        return found


def _discarded_parts(event_id: UUID, parked: Row[Any], act: Act, at: datetime) -> SignedParts:
    return SignedParts(
        topic=parked.topic,
        key=parked.key,
        sequence=str(parked.sequence),
        event_id=str(event_id),
        event_type=Discarded.event_type(),
        source=parked.ce_source,
        subject=parked.ce_subject,
        time=parked.ce_time,
        payload=Discarded.in_place_of(event_id, parked.ce_type, act.reason, act.actor, at).payload(),
    )


def totals(shards: Sequence[ShardState]) -> dict[str, Any]:
    """Sum up the shards."""
    ages = [shard.oldest_age_s for shard in shards if shard.oldest_age_s is not None]
    return {
        "shards": len(shards),
        "owned": sum(shard.owner is not None for shard in shards),
        "owners": len({shard.owner for shard in shards if shard.owner is not None}),
        "paused": sum(shard.paused for shard in shards),
        "backlog": sum(shard.backlog for shard in shards),
        "oldest_age_s": max(ages, default=None),
        "parked": sum(shard.parked for shard in shards),
        "requested": sum(shard.requested for shard in shards),
    }
