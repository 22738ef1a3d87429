"""What a relay must say of itself to be measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from bench.relay.place import Place
from deploy.local.processes.child import Command, clean_environment

ROOT = Path(__file__).resolve().parent.parent.parent
"""Where `bench` and `services` can be imported from."""

Insert = tuple[str, Mapping[str, Any]]
"""A statement and its parameters."""


class Candidate(Protocol):
    """A relay: its outbox, how a writer fills it, and the programs that empty it."""

    @property
    def name(self) -> str:
        """Short and unique."""
        ...

    @property
    def setting(self) -> str:
        """How it is configured, in a few words for the table."""
        ...

    @property
    def share(self) -> float:
        """The part of the run's events it is measured with; 1 unless it is too slow for all of them."""
        ...

    @property
    def has_outbox(self) -> bool:
        """False for a program that reads no database."""
        ...

    def prepare(self, place: Place) -> None:
        """Make its schema in the place's empty database."""
        ...

    def range_insert(self) -> str:
        """One statement that writes events ``%(first)s`` to ``%(last)s`` for ``%(topic)s``, set-based."""
        ...

    def one_insert(self, place: Place, number: int) -> Insert:
        """The statement by which a writer adds one event, as the library does it."""
        ...

    def programs(self, place: Place, events: int) -> Sequence[Command]:
        """What to run; `events` is how many there will be, for a program that must know."""
        ...


def command(place: Place, name: str, argv: Sequence[str], environment: Mapping[str, str] | None = None) -> Command:
    """A program that logs into the place's directory and works from the repository's root."""
    return Command(
        argv=argv,
        log_file=place.directory / f"{name}.log",
        directory=ROOT,
        environment=clean_environment(**(environment or {})),
    )
