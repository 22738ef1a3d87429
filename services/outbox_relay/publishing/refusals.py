"""Cause of a rejection: the record, its topic, or neither. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from confluent_kafka import KafkaError

from services.outbox_relay.records import Key
from shared.clock import Clock

BLOCK_S = 60
"""Events of a missing or forbidden topic park at once for so long; then one of them is tried again."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A rejection caused by a record or its topic.

    Attributes
    ----------
    keys:
        Those of the refused batch; none if unknown.
    up_to:
        The id of the first row not taken: refused by the producer itself, or left when it had ended; 0 if none.
    """

    keys: frozenset[Key] = frozenset()
    up_to: int = 0


class Fault(Enum):
    """The part to fix before Kafka accepts the record."""

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
    """Return the part at fault. Unknown errors count as neither: only permanent causes justify parking."""
    if error.code() in _OF_RECORD:
        return Fault.RECORD
    return Fault.TOPIC if error.code() in _OF_TOPIC else Fault.ELSEWHERE


def reason_of(error: KafkaError) -> str:
    """Return the reason stored with a parked event."""
    return f"{error.name()}: {error.str()}"


class BlockState(Enum):
    """Whether a topic takes records, as far as is known."""

    OPEN = "open"
    BLOCKED = "blocked"
    ON_TRIAL = "on trial"


@dataclass(slots=True)
class _Blocked:
    reason: str
    until: float


class BlockedTopics:
    """Topics with a rejected record, in memory only. Almost always empty."""

    def __init__(self, clock: Clock, block_s: float = BLOCK_S) -> None:
        self._clock = clock
        self._block_s = block_s
        self._topics: dict[str, _Blocked] = {}

    def __bool__(self) -> bool:
        """Return True while any topic is blocked."""
        return bool(self._topics)

    def block(self, topic: str, reason: str) -> None:
        """Block a topic after a rejection."""
        self._topics[topic] = _Blocked(reason, self._clock.monotonic() + self._block_s)

    def unblock(self, topic: str) -> None:
        """Unblock a topic after a success."""
        self._topics.pop(topic, None)

    def state(self, topic: str) -> BlockState:
        """Return the state of a topic: a blocked one is on trial after a while, until it takes or refuses a record."""
        known = self._topics.get(topic)
        if known is None:
            return BlockState.OPEN
        return BlockState.BLOCKED if self._clock.monotonic() < known.until else BlockState.ON_TRIAL

    def reason(self, topic: str) -> str:
        """Return the reason for blocking."""
        return self._topics[topic].reason
