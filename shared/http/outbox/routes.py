"""Outbox routes, the same in every API with an outbox. Every action is audited."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import Depends, Path, Query
from pydantic import Field

from shared.http.auth import Caller, Operator, Reader
from shared.http.context import ApiContext, context_of
from shared.http.declared_errors import declared
from shared.http.fields import NO_NUL
from shared.http.outbox.views import (
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
from shared.http.paging import Keyset, PageCursor, PageLimit
from shared.http.routing import api_router
from shared.outbox.operations import OutboxOperations, ParkedEvent, WantedParked, totals
from shared.postgres.audit import Act

router = api_router(prefix="/outbox", tags=["outbox"])

LAST_SHARD = 63
LARGEST_SEQUENCE = 2**63 - 1

Context = Annotated[ApiContext, Depends(context_of)]
ShardNumber = Annotated[int, Path(ge=0, le=LAST_SHARD)]
Filter = Annotated[str | None, Query(max_length=1000, pattern=NO_NUL)]
_Text = Annotated[str, Field(max_length=1000, pattern=NO_NUL)]
_Sequence = Annotated[int, Field(ge=0, le=LARGEST_SEQUENCE)]


def _sort_key(event: ParkedEvent) -> tuple[_Text, _Text, _Sequence]:
    return event.topic, event.key, event.sequence


PARKED = Keyset("outbox.parked", tuple[_Text, _Text, _Sequence], _sort_key)


@router.get("")
def outbox(context: Context, _: Reader) -> OutboxView:
    """Show the owner of each shard, the approximate backlog and the number of parked events."""
    with context.unit_of_work() as uow:
        shards = OutboxOperations(uow.connection).shards()
    return OutboxView(totals=OutboxTotals(**totals(shards)), shards=[ShardView(**asdict(shard)) for shard in shards])


@router.get("/parked")
def parked(
    context: Context,
    _: Reader,
    topic: Filter = None,
    key: Filter = None,
    cursor: PageCursor = None,
    limit: PageLimit = 100,
) -> ParkedPage:
    """List events rejected by Kafka and the later events of their keys, by topic, key and sequence."""
    # One more than asked for tells whether there is a page behind this one.
    wanted = WantedParked(topic, key, PARKED.after(cursor), limit + 1)
    with context.unit_of_work() as uow:
        found = OutboxOperations(uow.connection).parked(wanted)
    page = PARKED.page(found, limit)
    return ParkedPage(items=[ParkedView(**asdict(event)) for event in page.items], next=page.next)


@router.post("/parked/replay", status_code=202, responses=declared(404))
def replay(body: ReplayParked, context: Context, caller: Operator) -> RequestedView:
    """Publish parked events again, each key in order; events rejected again stay parked. 404 `not_parked`."""
    act = Act(caller.name, body.reason)
    with context.unit_of_work() as uow:
        operations = OutboxOperations(uow.connection)
        if body.event_id is not None:
            requested = operations.replay_event(body.event_id, act)
        else:
            assert body.topic is not None, "the body names one of the two"
            requested = operations.replay(body.topic, body.key, act)
        uow.commit()
    return RequestedView(**asdict(requested))


@router.post("/parked/discard", status_code=202, responses=declared(404))
def discard(body: DiscardParked, context: Context, caller: Operator) -> RequestedView:
    """Publish a Discarded event in place of a parked one, after those before it of its key. 404 `not_parked`."""
    act = Act(caller.name, body.reason)
    with context.unit_of_work() as uow:
        OutboxOperations(uow.connection).discard(body.event_id, act, context.clock.now(), context.outbox.signer)
        uow.commit()
    return RequestedView(requested=1, already_requested=0)


@router.post("/shards/{shard}/pause")
def pause(shard: ShardNumber, body: ActOnShard, context: Context, caller: Operator) -> PausedView:
    """Stop publishing a shard until it is resumed; events in flight still arrive."""
    return _pause(shard, True, body, context, caller)


@router.post("/shards/{shard}/resume")
def resume(shard: ShardNumber, body: ActOnShard, context: Context, caller: Operator) -> PausedView:
    """Publish a paused shard again."""
    return _pause(shard, False, body, context, caller)


def _pause(shard: int, paused: bool, body: ActOnShard, context: ApiContext, caller: Caller) -> PausedView:
    with context.unit_of_work() as uow:
        OutboxOperations(uow.connection).pause(shard, paused, Act(caller.name, body.reason))
        uow.commit()
    return PausedView(shard=shard, paused=paused)
