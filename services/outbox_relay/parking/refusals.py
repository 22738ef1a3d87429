"""Whose fault a refusal is: the record's own, its topic's, or neither's. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from confluent_kafka import KafkaError

from shared.clock import Clock

SHUT_S = 60
"""So long events of a topic that is missing or closed to us park at once; then one of them is tried again."""


class Fault(Enum):
    """What has to change before Kafka takes the record."""

    RECORD = "the record"
    TOPIC = "its topic"
    ELSEWHERE = "neither: it is worth trying again"


_OF_RECORD = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError.INVALID_MSG,
        KafkaError.INVALID_MSG_SIZE,
        KafkaError.INVALID_TIMESTAMP,
    }
)
_OF_TOPIC = frozenset(
    {
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
    }
)


def fault_of(error: KafkaError) -> Fault:
    """Whose fault it is. What is not known is nobody's: parking needs a reason that will not pass by itself."""
    if error.code() in _OF_RECORD:
        return Fault.RECORD
    return Fault.TOPIC if error.code() in _OF_TOPIC else Fault.ELSEWHERE


def reason_of(error: KafkaError) -> str:
    """What is kept with a parked event."""
    return f"{error.name()}: {error.str()}"


class TopicState(Enum):
    """Whether a topic takes records, as far as is known."""

    OPEN = "open"
    SHUT = "shut"
    ON_TRIAL = "on trial"


@dataclass(slots=True)
class _Shut:
    reason: str
    until: float


class BlockedTopics:
    """Topics that refused a record for themselves, kept in memory alone. Empty almost always."""

    def __init__(self, clock: Clock, shut_s: float = SHUT_S) -> None:
        self._clock = clock
        self._shut_s = shut_s
        self._topics: dict[str, _Shut] = {}

    def __bool__(self) -> bool:
        """True while there is any."""
        return bool(self._topics)

    def shut(self, topic: str, reason: str) -> None:
        """It refused one just now."""
        self._topics[topic] = _Shut(reason, self._clock.monotonic() + self._shut_s)

    def open(self, topic: str) -> None:
        """It took one just now."""
        self._topics.pop(topic, None)

    def state(self, topic: str) -> TopicState:
        """Shut for a while after a refusal; then on trial, until it takes a record or refuses one again."""
        known = self._topics.get(topic)
        if known is None:
            return TopicState.OPEN
        return TopicState.SHUT if self._clock.monotonic() < known.until else TopicState.ON_TRIAL

    def reason(self, topic: str) -> str:
        """Why it is shut."""
        return self._topics[topic].reason
