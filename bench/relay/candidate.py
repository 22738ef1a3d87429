"""Interface of a relay to measure."""

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
    """A relay: its outbox, its write statements and its programs."""

    @property
    def name(self) -> str:
        """Short and unique."""
        ...

    @property
    def setting(self) -> str:
        """Return its configuration in a few words, for the table."""
        ...

    @property
    def share(self) -> float:
        """Return its part of the run's events; 1 unless it is too slow for all of them."""
        ...

    @property
    def has_outbox(self) -> bool:
        """Return False for a program without reads of the database."""
        ...

    def prepare(self, place: Place) -> None:
        """Make its schema in the place's empty database."""
        ...

    def range_insert(self) -> str:
        """Return one set-based statement writing events ``%(first)s`` to ``%(last)s`` for ``%(topic)s``."""
        ...

    def one_insert(self, place: Place, number: int) -> Insert:
        """Return the library's statement to add one event."""
        ...

    def programs(self, place: Place, events: int) -> Sequence[Command]:
        """Return the programs to run; `events` is the total, for a program in need of it."""
        ...


def command(place: Place, name: str, argv: Sequence[str], environment: Mapping[str, str] | None = None) -> Command:
    """Return a program's command, run in the repository's root and logging into the place's directory."""
    return Command(
        argv=argv,
        log_file=place.directory / f"{name}.log",
        directory=ROOT,
        environment=clean_environment(**(environment or {})),
    )
