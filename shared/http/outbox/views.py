"""Response and request bodies of the outbox routes; times are RFC 3339 in UTC."""

from __future__ import annotations

from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.contracts.exits import Timestamp
from shared.http.fields import NO_NUL, Reason

Name = Annotated[str, Field(min_length=1, max_length=1000, pattern=NO_NUL)]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ShardView(BaseModel):
    """A shard: who publishes it and until when, and about how much waits; `backlog` counts those of the first 1,000."""

    shard: int
    owner: UUID | None
    paused: bool
    epoch: int
    lease_until: Timestamp | None
    backlog: int
    oldest_age_s: float | None
    parked: int
    requested: int


class OutboxTotals(BaseModel):
    """All shards together."""

    shards: int
    owned: int
    owners: int
    paused: int
    backlog: int
    oldest_age_s: float | None
    parked: int
    requested: int


class OutboxView(BaseModel):
    """The outbox of this service."""

    totals: OutboxTotals
    shards: list[ShardView]


class ParkedView(BaseModel):
    """A parked event, its reason and the operator's decision."""

    event_id: UUID
    shard: int
    topic: str
    key: str
    sequence: int
    event_type: str
    payload_bytes: int
    reason: str
    parked_at: Timestamp
    request: str | None
    requested_by: str | None
    requested_at: Timestamp | None
    request_reason: str | None


class ParkedPage(BaseModel):
    """A page of parked events, each key in order; `next` is the cursor of the page behind it."""

    items: list[ParkedView]
    next: str | None


class ReplayParked(_Body):
    """The events to publish again: all parked events of a topic, of one key, or of an event's key."""

    topic: Name | None = None
    key: Annotated[str, Field(max_length=1000, pattern=NO_NUL)] | None = None
    event_id: UUID | None = None
    reason: Reason

    @model_validator(mode="after")
    def _names_one_thing(self) -> Self:
        if (self.topic is None) == (self.event_id is None) or (self.key is not None and self.topic is None):
            raise ValueError("name either a topic, with or without a key, or an event_id")
        return self


class DiscardParked(_Body):
    """The event to replace by a Discarded event."""

    event_id: UUID
    reason: Reason


class ActOnShard(_Body):
    """Why a shard is paused or resumed."""

    reason: Reason


class RequestedView(BaseModel):
    """How many parked events the relay was asked for: now, and before."""

    requested: int
    already_requested: int


class PausedView(BaseModel):
    """Whether a shard is paused now."""

    shard: int
    paused: bool
