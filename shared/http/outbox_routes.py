"""Routes: the outbox of a service, the same in every API that has one. Every act is audited."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from sqlalchemy import Connection

from shared.audit import Act
from shared.errors import InvalidInput
from shared.http.auth import Caller, Operator, Reader
from shared.http.fields import NO_NUL
from shared.http.outbox_views import (
    ActOnShard,
    DiscardParked,
    OutboxTotals,
    OutboxView,
    ParkedPage,
    ParkedView,
    PausedView,
    ReplayParked,
    RequestedView,
    ShardView,
)
from shared.http.paging import PageCursor, PageLimit, decode_cursor, encode_cursor
from shared.outbox_operations import OutboxOperations, ParkedEvent, WantedParked, totals

router = APIRouter(prefix="/outbox", tags=["outbox"])

LAST_SHARD = 63
LARGEST_SEQUENCE = 2**63 - 1


def _transaction(request: Request) -> Iterator[Connection]:
    connection: Connection = request.app.state.engine.connect()
    with connection:
        yield connection


Transaction = Annotated[Connection, Depends(_transaction)]
ShardNumber = Annotated[int, Path(ge=0, le=LAST_SHARD)]
Filter = Annotated[str | None, Query(max_length=1000, pattern=NO_NUL)]


@router.get("")
def outbox(transaction: Transaction, _: Reader) -> OutboxView:
    """Who publishes which shard, about how much waits, and how much is parked."""
    shards = OutboxOperations(transaction).shards()
    return OutboxView(totals=OutboxTotals(**totals(shards)), shards=[ShardView(**asdict(shard)) for shard in shards])


@router.get("/parked")
def parked(
    transaction: Transaction,
    _: Reader,
    topic: Filter = None,
    key: Filter = None,
    cursor: PageCursor = None,
    limit: PageLimit = 100,
) -> ParkedPage:
    """Events that Kafka refused and the later ones of their keys, by topic, key and sequence."""
    # One more than asked for tells whether there is a page behind this one.
    found = OutboxOperations(transaction).parked(WantedParked(topic, key, _after(cursor), limit + 1))
    last = found[limit - 1] if len(found) > limit else None
    return ParkedPage(items=[ParkedView(**asdict(event)) for event in found[:limit]], next=_cursor(last))


@router.post("/parked/replay", status_code=202)
def replay(body: ReplayParked, transaction: Transaction, caller: Operator) -> RequestedView:
    """Publish parked events again, each key in order; what is refused again stays parked. 404 `not_parked`."""
    operations, act = OutboxOperations(transaction), Act(caller.name, body.reason)
    if body.event_id is not None:
        requested = operations.replay_event(body.event_id, act)
    else:
        assert body.topic is not None, "the body names one of the two"
        requested = operations.replay(body.topic, body.key, act)
    transaction.commit()
    return RequestedView(**asdict(requested))


@router.post("/parked/discard", status_code=202)
def discard(body: DiscardParked, transaction: Transaction, caller: Operator) -> RequestedView:
    """Publish a Discarded event in place of a parked one, after those before it of its key. 404 `not_parked`."""
    OutboxOperations(transaction).discard(body.event_id, Act(caller.name, body.reason))
    transaction.commit()
    return RequestedView(requested=1, already_requested=0)


@router.post("/shards/{shard}/pause")
def pause(shard: ShardNumber, body: ActOnShard, transaction: Transaction, caller: Operator) -> PausedView:
    """Publish nothing of a shard until it is resumed; what is in flight still arrives."""
    return _pause(shard, True, body, transaction, caller)


@router.post("/shards/{shard}/resume")
def resume(shard: ShardNumber, body: ActOnShard, transaction: Transaction, caller: Operator) -> PausedView:
    """Publish a paused shard again."""
    return _pause(shard, False, body, transaction, caller)


def _pause(shard: int, paused: bool, body: ActOnShard, transaction: Connection, caller: Caller) -> PausedView:
    OutboxOperations(transaction).pause(shard, paused, Act(caller.name, body.reason))
    transaction.commit()
    return PausedView(shard=shard, paused=paused)


def _cursor(last: ParkedEvent | None) -> str | None:
    return None if last is None else encode_cursor([last.topic, last.key, str(last.sequence)])


def _after(cursor: str | None) -> tuple[str, str, int] | None:
    if cursor is None:
        return None
    topic, key, sequence = decode_cursor(cursor, 3)
    if "\0" in topic + key or not (sequence.isascii() and sequence.isdigit() and int(sequence) <= LARGEST_SEQUENCE):
        raise InvalidInput("not a cursor of this list")
    return topic, key, int(sequence)
