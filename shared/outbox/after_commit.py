"""Observers of committed events, called by a unit of work after its commit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from shared.contracts.events import Event

E = TypeVar("E", bound=Event)

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


def observed_events() -> frozenset[type[Event]]:
    """Return the event types observed in this process."""
    return frozenset(_observers)


def notify(events: Iterable[Event]) -> None:
    """Call the observers of these events, in order."""
    for event in events:
        for observer in _observers.get(type(event), ()):
            observer(event)
