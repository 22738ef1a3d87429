"""Observers of committed events: what a unit of work calls once its transaction has committed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from shared.contracts.events import Event

E = TypeVar("E", bound=Event)

_observers: dict[type[Event], list[Callable[[Any], None]]] = {}


def after_commit(event: type[E]) -> Callable[[Callable[[E], None]], Callable[[E], None]]:
    """Decorate a function that is called with every committed event of this type, whoever emitted it.

    A commit whose outcome is not known, because the connection broke inside it, counts as not committed.
    The function must not raise: the transaction cannot be undone any more.
    """

    def register(observer: Callable[[E], None]) -> Callable[[E], None]:
        _observers.setdefault(event, []).append(observer)
        return observer

    return register


def observed_events() -> frozenset[type[Event]]:
    """Return the event types that have an observer in this process."""
    return frozenset(_observers)


def notify(events: Iterable[Event]) -> None:
    """Call the observers of these events, in order."""
    for event in events:
        for observer in _observers.get(type(event), ()):
            observer(event)
