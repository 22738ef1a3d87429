"""Parked events in the database: written together with the progress past them, taken up again when decided."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from services.outbox_relay.database.connection import Connection
from services.outbox_relay.parking import statements
from services.outbox_relay.publishing.single_record_sender import Record
from services.outbox_relay.records import EVENT_ID, HEADERS, ID, KEY, PAYLOAD, SEQUENCE, SHARD, TOPIC, Key, Row
from services.outbox_relay.shards.acknowledgements import Run
from services.outbox_relay.shards.leases import owned, report_lost
from services.outbox_relay.shards.progress import Progress
from services.outbox_relay.shards.progress_store import ProgressStore
from services.outbox_relay.shards.shard import HeldShard
from shared.contracts.discarded import Discarded
from shared.kafka.clients import Headers
from shared.outbox.signatures import SIGNATURE_HEADER
from shared.runtime.failpoints import Failpoint, failpoint

_HEADER_COLUMNS = ("types", "sources", "subjects", "times", "traceparents", "signatures")
"""Names of `HEADERS` in `statements.PARK`."""

EVENTS_AT_ONCE = 200
"""Decided events taken up together: few enough to fit into memory however large they are."""

EVENTS_OF_KEY = 5
"""Of these per key: many keys go side by side."""


class ParkedRun(Run):
    """Consecutive rows of a shard to park instead of send; acknowledged once stored."""

    __slots__ = ("reasons", "refused", "rows")

    def __init__(self, rows: Sequence[Row], reaches: Progress, reasons: Sequence[str], *, refused: bool) -> None:
        super().__init__(_never_refused, reaches, 0.0)
        self.rows = rows
        self.reasons = reasons
        self.refused = refused
        self.left = len(rows)


def _never_refused(*_: object) -> None:
    raise AssertionError("parked events are not sent")


@dataclass(frozen=True, slots=True)
class DecidedEvent:
    """A parked event with an operator's decision."""

    event_id: str
    shard: int
    topic: str
    key: str
    sequence: int
    ce_type: str
    ce_source: str
    ce_subject: str
    ce_time: str
    traceparent: str
    signature: str | None
    discard_signature: str | None
    payload: bytes
    request: str | None
    requested_by: str | None
    requested_at: datetime | None
    request_reason: str | None

    @property
    def order(self) -> Key:
        """Return the topic and key: the order holds within them."""
        return self.topic, self.key

    @property
    def is_discarded(self) -> bool:
        """Return True if a Discarded event replaces it."""
        return self.request == "DISCARD"

    def record(self) -> Record:
        """Return the record to publish for it."""
        ce_type, payload, signature = self.ce_type, self.payload, self.signature
        if self.is_discarded:
            ce_type, payload, signature = Discarded.event_type(), self._discarded(), self.discard_signature
        headers: Headers = [
            ("ce_specversion", "1.0"),
            ("ce_id", self.event_id),
            ("ce_sequence", str(self.sequence)),
            ("content-type", "application/json"),
            ("ce_type", ce_type),
            ("ce_source", self.ce_source),
            ("ce_subject", self.ce_subject),
            ("ce_time", self.ce_time),
            ("traceparent", self.traceparent),
        ]
        if signature is not None:
            headers.append((SIGNATURE_HEADER, signature))
        return Record(self.topic, self.key, payload, headers)

    def _discarded(self) -> bytes:
        """Return the Discarded event as signed by the service at the operator's request."""
        assert self.requested_at is not None, "a request says when it was made"
        return Discarded.in_place_of(
            UUID(self.event_id), self.ce_type, self.request_reason or "", self.requested_by or "", self.requested_at
        ).payload()


@dataclass(slots=True)
class Outcome:
    """Results of decided events: published ones, and rejected ones, at most one per key.

    Attributes
    ----------
    done:
        Those taken, each key in order.
    refused:
        Those refused, with the reason.
    shut:
        Topics with a separate refusal.
    """

    done: list[DecidedEvent] = field(default_factory=list)
    refused: list[tuple[DecidedEvent, str]] = field(default_factory=list)
    blocked: set[str] = field(default_factory=set)

    def keys_done(self) -> dict[Key, DecidedEvent]:
        """Return keys with published and no rejected events, each with its last published event."""
        refused = {event.order for event, _ in self.refused}
        return {event.order: event for event in self.done if event.order not in refused}

    def touched(self) -> dict[str, list[Any]]:
        """Return the affected events and keys as columns; rejected keys are marked."""
        refused = {event.order for event, _ in self.refused}
        keys = [*((key, True) for key in refused), *((key, False) for key in self.keys_done())]
        return {
            "events": [event.event_id for event in (*self.done, *(event for event, _ in self.refused))],
            "topics": [topic for (topic, _), _ in keys],
            "keys": [key for (_, key), _ in keys],
            "refused": [is_refused for _, is_refused in keys],
            "blocked": list(self.blocked),
        }


class ParkedEventStore:
    """``outbox_parked`` of one outbox, for the relay's shards. Raises `Fenced` if one was lost."""

    def __init__(self, connection: Connection, progress_store: ProgressStore) -> None:
        self._connection = connection
        self._progress_store = progress_store

    def keys_of(self, shards: Collection[HeldShard]) -> dict[int, list[tuple[Key, str]]]:
        """Return the parked keys of these shards, each with its first event's id."""
        found: dict[int, list[tuple[Key, str]]] = {shard.shard: [] for shard in shards}
        parameters = {"shards": list(found)}
        for shard, topic, key, event_id in self._connection.execute(statements.PARKED_KEYS, parameters):
            found[shard].append(((topic, key), event_id))
        return found

    def park(self, runs: Sequence[ParkedRun], shards: Collection[HeldShard]) -> None:
        """Store these runs and their shards' progress past them, atomically."""
        with self._connection.transaction():
            self._progress_store.record(shards)
            self._connection.execute(statements.PARK, _columns(runs), binary=True)
            failpoint(Failpoint.RELAY_BEFORE_PARK_COMMIT)

    def decided(self, shards: Collection[int]) -> list[DecidedEvent]:
        """Return each key's leading decided events, up to the first undecided one."""
        limits = {"of_key": EVENTS_OF_KEY, "limit": EVENTS_AT_ONCE}
        rows = self._connection.execute(statements.REQUESTED, {"shards": list(shards), **limits}, binary=True)
        events: list[DecidedEvent] = []
        undecided: set[Key] = set()
        for event in (DecidedEvent(*row) for row in rows):
            if event.request is None:
                undecided.add(event.order)
            elif event.order not in undecided:
                events.append(event)
        return events

    def conclude(self, outcome: Outcome, shards: Collection[HeldShard]) -> set[Key]:
        """Store the results of decided events; return the keys without parked events left."""
        done = outcome.keys_done()
        with self._connection.transaction():
            report_lost(shards, self._connection.execute(statements.HOLD, owned(shards)).fetchall())
            self._connection.execute(statements.LOCK, outcome.touched() | {"shards": [s.shard for s in shards]})
            self._take_out(outcome.done)
            if outcome.refused:
                self._refuse_again(outcome, shards)
            if not done:
                return set()
            keys = {"topics": [topic for topic, _ in done], "keys": [key for _, key in done]}
            decisions = {
                "actors": [event.requested_by for event in done.values()],
                "reasons": [event.request_reason for event in done.values()],
            }
            self._connection.execute(statements.FOLLOW, {**keys, **decisions})
            left = set(self._connection.execute(statements.LEFT, keys).fetchall())
        return set(done) - left

    def _take_out(self, done: Sequence[DecidedEvent]) -> None:
        discarded = [event.event_id for event in done if event.is_discarded]
        if discarded:
            self._connection.execute(statements.KEEP_DISCARDED, {"discarded": discarded})
        self._connection.execute(statements.DELETE, {"done": [event.event_id for event in done]})

    def _refuse_again(self, outcome: Outcome, shards: Collection[HeldShard]) -> None:
        refused = {
            "event_ids": [event.event_id for event, _ in outcome.refused],
            "reasons": [reason for _, reason in outcome.refused],
        }
        keys = {
            "topics": [event.topic for event, _ in outcome.refused],
            "keys": [event.key for event, _ in outcome.refused],
        }
        self._connection.execute(statements.REFUSE_AGAIN, refused)
        self._connection.execute(statements.WITHDRAW, keys)
        if outcome.blocked:
            blocked = {"shards": [shard.shard for shard in shards], "blocked": list(outcome.blocked)}
            self._connection.execute(statements.WITHDRAW_TOPICS, blocked)


def _columns(runs: Sequence[ParkedRun]) -> dict[str, list[Any]]:
    rows = [row for run in runs for row in run.rows]
    return {
        "event_ids": [row[EVENT_ID] for row in rows],
        "shards": [row[SHARD] for row in rows],
        "ids": [row[ID] for row in rows],
        "topics": [row[TOPIC] for row in rows],
        "keys": [row[KEY] for row in rows],
        "sequences": [int(row[SEQUENCE]) for row in rows],
        **{column: [row[n] for row in rows] for n, column in enumerate(_HEADER_COLUMNS, HEADERS.start)},
        "payloads": [row[PAYLOAD] for row in rows],
        "reasons": [reason for run in runs for reason in run.reasons],
        "refused": [run.refused for run in runs for _ in run.rows],
    }
