"""Failures of a publisher's producers, and what they say about the records at fault."""

from __future__ import annotations

from collections.abc import Callable

from confluent_kafka import KafkaError, Message

from services.outbox_relay.publishing.refusals import Fault, Refused, fault_of
from services.outbox_relay.records import ID, KEY, TOPIC, Key, Row
from shared.errors import Unavailable

_ENDED = frozenset({KafkaError._FATAL, KafkaError._GAPLESS_GUARANTEE})
"""Error codes of a dead producer: its answer to every later call, whatever record was refused."""


class DeliveryFailed(Unavailable):
    """Kafka refused an event; nothing after it may count as published."""

    code = "delivery_failed"


def delivery_failed(error: KafkaError) -> DeliveryFailed:
    """Return the exception for an error of a producer."""
    return DeliveryFailed(f"Kafka refused an event: {error.str()}")


class Failures:
    """The first specific failure, and the keys of refused records.

    Attributes
    ----------
    first:
        None while there is none.

    Parameters
    ----------
    on_refused:
        Called with the error of each refused record.
    """

    def __init__(self, on_refused: Callable[[KafkaError], None]) -> None:
        self.first: KafkaError | None = None
        self._on_refused = on_refused
        self._keys: set[Key] = set()
        self._up_to = 0
        self._names_what_failed = False

    def note(self, error: KafkaError) -> None:
        """Keep the first specific failure; generic ones follow from it."""
        if self.first is None or self.first.code() == KafkaError._FATAL:
            self.first = error

    def note_report(self, error: KafkaError, message: Message) -> None:
        """Note a failed delivery report."""
        if error.code() not in _ENDED:
            self._names_what_failed = True
            self._on_refused(error)
            key = message.key()
            if fault_of(error) is not Fault.ELSEWHERE and key is not None:
                self._keys.add((str(message.topic()), key.decode() if isinstance(key, bytes) else key))
        self.note(error)

    def note_refusal(self, error: KafkaError, row: Row) -> None:
        """Note a row rejected by the producer itself, or any call after its end."""
        if error.code() in _ENDED:
            # The rows of this batch taken before count for no run: they are suspect by their ids.
            self._up_to = row[ID]
            self.note(error)
            return
        self._names_what_failed = True
        self._on_refused(error)
        if fault_of(error) is not Fault.ELSEWHERE:
            self._keys.add((row[TOPIC], row[KEY]))
            self._up_to = max(self._up_to, row[ID])

    @property
    def is_unexplained(self) -> bool:
        """Return True while a producer has ended, and no record was named as the cause."""
        return self.first is not None and self.first.code() in _ENDED and not self._names_what_failed

    def refused(self) -> Refused | None:
        """Return the rejection if a record or its topic is at fault, or may be; else None."""
        if self._keys or self.is_unexplained:
            return Refused(frozenset(self._keys), self._up_to)
        return None
