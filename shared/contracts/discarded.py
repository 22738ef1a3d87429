"""The event in place of one that was never published."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar, Self
from uuid import UUID

from shared.contracts.events import Event, register
from shared.contracts.exits import Timestamp

ANY_TOPIC = "*"
"""No topic of its own: it goes where the event in its place would have gone."""


@register
class Discarded(Event):
    """An event that Kafka would not take was discarded by an operator; this one has its ce_id, key and ce_sequence.

    A reader counts the sequence on, remembers the ce_id as seen, and does nothing else.
    """

    topic: ClassVar[str] = ANY_TOPIC
    source: ClassVar[str] = ""

    event_id: UUID
    discarded_type: str
    reason: str
    discarded_by: str
    discarded_at: Timestamp

    @classmethod
    def in_place_of(
        cls, event_id: UUID, discarded_type: str, reason: str, discarded_by: str, discarded_at: datetime
    ) -> Self:
        """Return the event for one that is parked; the API that signs it and the relay that sends it make the same."""
        return cls(
            event_id=event_id,
            discarded_type=discarded_type,
            reason=reason,
            discarded_by=discarded_by,
            discarded_at=discarded_at.astimezone(UTC),
        )
