"""Observers of committed events, called by a unit of work after its commit, and the tracer of the process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from uuid import UUID

from msgspec import Struct

from shared.contracts.events import Event

E = TypeVar("E", bound=Event)


class Emitted(Struct, frozen=True):
    """An event of a transaction.

    Attributes
    ----------
    traceparent:
        The trace around it; None if it begins one.
    cause:
        The ``traceparent`` of the request or record behind it.
    """

    event: Event
    traceparent: str | None
    cause: str | None


@dataclass(frozen=True, slots=True)
class Published:
    """A record acknowledged by Kafka.

    Attributes
    ----------
    written_ns:
        When its row was written, in nanoseconds since 1970.
    """

    topic: str
    event_id: str
    event_type: str
    traceparent: str
    written_ns: int


class Tracer(Protocol):
    """Makes spans of committed events and published records. No method raises or waits."""

    def begin(self) -> int:
        """Return the start time of a transaction, in nanoseconds since 1970."""
        ...

    def committed(self, emitted: Sequence[Emitted], began_ns: int) -> None:
        """Take the events of a transaction just committed."""
        ...

    def tick_caused(self, trade_id: UUID, detected_at_us: int, traceparent: str) -> None:
        """Take the trace of the tick behind an exit, at the time its signal will name."""
        ...

    def published(self, records: Iterable[Published]) -> None:
        """Take records just acknowledged."""
        ...


_tracer: Tracer | None = None
_observers: dict[type[Event], list[Callable[[Any], None]]] = {}


def after_commit(event: type[E]) -> Callable[[Callable[[E], None]], Callable[[E], None]]:
    """Register a function to be called with every committed event of this type.

    If the connection breaks during the commit, its outcome is unknown and observers are not called. The function must
    not raise: the transaction is already committed.
    """

    def register(observer: Callable[[E], None]) -> Callable[[E], None]:
        _observers.setdefault(event, []).append(observer)
        return observer

    return register


def trace_with(tracer: Tracer | None) -> None:
    """Use this tracer for every unit of work of the process; None, the default: none."""
    global _tracer  # noqa: PLW0603
    _tracer = tracer


def tracer() -> Tracer | None:
    """Return the tracer of the process."""
    return _tracer


def observed_events() -> frozenset[type[Event]]:
    """Return the event types observed in this process."""
    return frozenset(_observers)


def notify(events: Iterable[Event]) -> None:
    """Call the observers of these events, in order."""
    for event in events:
        for observer in _observers.get(type(event), ()):
            observer(event)
