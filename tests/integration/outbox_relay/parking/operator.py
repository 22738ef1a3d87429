"""An operator of the exit outbox, without HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from sqlalchemy import Engine, text

from shared.clock import SystemClock
from shared.outbox.operations import OutboxOperations, ParkedEvent, Requested, WantedParked
from shared.postgres.audit import Act
from shared.postgres.engine import open_engine
from shared.settings import Settings
from tests.support.signing import SIGNER
from tests.support.waiting import wait_until

ACT = Act("ops-desk", "as tested")
EVERYTHING = WantedParked(None, None, None, 10_000)


class Operator:
    """Looks at parked events and decides them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def parked(self) -> list[ParkedEvent]:
        """Every parked event, each key in order."""
        with self._engine.connect() as connection:
            return OutboxOperations(connection).parked(EVERYTHING)

    def parked_of(self, key: str) -> list[int]:
        """The parked sequence numbers of a key."""
        return [event.sequence for event in self.parked() if event.key == key]

    def replay(self, topic: str, key: str | None = None) -> Requested:
        """Ask for a replay."""
        with self._engine.begin() as connection:
            return OutboxOperations(connection).replay(topic, key, ACT)

    def replay_until_gone(self, topic: str, key: str | None = None) -> None:
        """Ask for a replay, again while it is refused: a change takes a moment to be known."""

        def is_gone() -> bool:
            parked = [event for event in self.parked() if key in (None, event.key)]
            if any(event.request is None for event in parked):
                self.replay(topic, key)
            return not parked

        wait_until(is_gone)

    def discard(self, event_id: UUID) -> None:
        """Ask for a Discarded event in place of this one."""
        with self._engine.begin() as connection:
            OutboxOperations(connection).discard(event_id, ACT, SystemClock().now(), SIGNER)

    def discarded(self) -> list[UUID]:
        """The discarded events."""
        with self._engine.connect() as connection:
            return list(connection.execute(text("SELECT event_id FROM outbox_discarded")).scalars())


@contextmanager
def open_operator(settings: Settings) -> Iterator[Operator]:
    """An operator who acts with the role of the API."""
    engine = open_engine(settings.require_exit_database(), "exit_qualification", application="operator")
    try:
        yield Operator(engine)
    finally:
        engine.dispose()
