"""The event published in place of a discarded one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar, Self
from uuid import UUID

from shared.contracts.events import Event, register
from shared.contracts.exits import Timestamp

ANY_TOPIC = "*"
"""No fixed topic: it is published to the topic of the event it replaces."""


@register
class Discarded(Event):
    """An operator discarded an event rejected by Kafka; this event has its ce_id, key and ce_sequence.

    A consumer advances its sequence, remembers the ce_id and does nothing else.
    """

    topic: ClassVar[str] = ANY_TOPIC
    source: ClassVar[str] = ""

    event_id: UUID
    """The `ce_id` of the replaced event."""
    discarded_type: str
    """The type of the replaced event."""
    reason: str
    """Why, as the operator said."""
    discarded_by: str
    """The name of the operator's token."""
    discarded_at: Timestamp
    """When the operator discarded it."""

    @classmethod
    def in_place_of(
        cls, event_id: UUID, discarded_type: str, reason: str, discarded_by: str, discarded_at: datetime
    ) -> Self:
        """Return the replacement of a parked event; the API signs and the relay sends the same bytes."""
        return cls(
            event_id=event_id,
            discarded_type=discarded_type,
            reason=reason,
            discarded_by=discarded_by,
            discarded_at=discarded_at.astimezone(UTC),
        )
