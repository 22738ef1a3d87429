"""The event in place of one that was never published."""

from __future__ import annotations

from typing import ClassVar
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
