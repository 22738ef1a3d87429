"""Writing events to an outbox as a service would, with a list of the committed ones."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy import Connection, Engine, text

from shared.clock import SystemClock
from shared.contracts.events import Event
from shared.contracts.topics import EXIT_INTENTS, TopicNames
from shared.outbox.writing import Outbox
from shared.postgres.engine import open_engine
from shared.settings import Settings
from tests.support.signing import SIGNER

COMMITTED = text("""
SELECT event_id::text, key, sequence FROM outbox_event WHERE topic = coalesce(:topic, topic)
""")


class Happened(Event):
    """An event of these tests."""

    topic = EXIT_INTENTS
    source = "/tests"

    name: str
    note: str = ""

    @property
    def key(self) -> str:
        return self.name

    @property
    def subject(self) -> str:
        return self.name


UNPUBLISHED = text("""
SELECT count(*) FROM outbox_event e JOIN outbox_shard s USING (shard) WHERE NOT pg_visible_in_snapshot(e.xid, s.snap)
""")

RESTING = text("""
SELECT count(*) FROM pg_locks
 WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND granted
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
""")


class Writer:
    """A service with an outbox in schema exit_qualification."""

    def __init__(self, engine: Engine, topics: TopicNames) -> None:
        self._engine = engine
        self._outbox = Outbox(topics, SystemClock(), SIGNER)

    @property
    def engine(self) -> Engine:
        """The service's database."""
        return self._engine

    def write(self, *keys: str) -> None:
        """One committed transaction with an event for each key."""
        with self._engine.begin() as connection:
            self.append(connection, keys)

    def tell(self, *events: Event) -> None:
        """One committed transaction with these events."""
        with self._engine.begin() as connection:
            self._outbox.append(connection, events)

    def append(self, connection: Connection, keys: Sequence[str]) -> None:
        """Events of a transaction at work."""
        self._outbox.append(connection, [Happened(name=key) for key in keys])

    def write_concurrently(self, *, seed: int, writers: int, transactions: int, keys: int) -> None:
        """Many transactions over few keys; a third of them roll back, some only to a savepoint."""
        with ThreadPoolExecutor(writers) as pool:
            list(pool.map(lambda n: self._write_some(random.Random(seed + n), transactions, keys), range(writers)))

    def _write_some(self, dice: random.Random, transactions: int, keys: int) -> None:
        for _ in range(transactions):
            chosen = [f"key-{dice.randrange(keys)}" for _ in range(dice.randint(1, 4))]
            with self._engine.connect() as connection:
                if dice.random() < 0.2:
                    savepoint = connection.begin_nested()
                    self.append(connection, ["never-published"])
                    savepoint.rollback()
                self.append(connection, chosen)
                connection.rollback() if dice.random() < 0.3 else connection.commit()

    @contextmanager
    def long_transaction(self, *keys: str) -> Iterator[None]:
        """While inside, a transaction with an event for each key stays open; it commits at the end."""
        with self._engine.begin() as connection:
            self.append(connection, keys)
            yield

    @contextmanager
    def old_transaction(self) -> Iterator[Connection]:
        """A transaction with a number and nothing written yet; it commits at the end."""
        with self._engine.begin() as connection:
            connection.execute(text("SELECT pg_current_xact_id()"))
            yield connection

    def committed(self, topic: str | None = None) -> dict[str, tuple[str, int]]:
        """Every committed event, or those of one topic: id → key and sequence."""
        with self._engine.connect() as connection:
            rows = connection.execute(COMMITTED, {"topic": topic}).all()
        return {row[0]: (row[1], row[2]) for row in rows}

    def owners(self) -> Counter[str | None]:
        """How many shards each relay holds."""
        with self._engine.connect() as connection:
            return Counter(connection.execute(text("SELECT owner::text FROM outbox_shard")).scalars())

    def relays_seen(self) -> dict[str, datetime]:
        """When each relay was last seen at work."""
        with self._engine.connect() as connection:
            rows = connection.execute(text("SELECT relay_id::text, seen_at FROM outbox_relay")).all()
        return {row[0]: row[1] for row in rows}

    def a_relay_rests(self) -> bool:
        """Return whether a relay holds the lock for notifications by writers."""
        with self._engine.connect() as connection:
            return bool(connection.execute(RESTING).scalar_one())

    def unpublished(self) -> int:
        """Committed events not on record as published."""
        with self._engine.connect() as connection:
            return int(connection.execute(UNPUBLISHED).scalar_one())


@contextmanager
def open_writer(settings: Settings, topics: TopicNames) -> Iterator[Writer]:
    """A writer with the exit role."""
    engine = open_engine(settings.require_exit_database(), "exit_qualification", application="writer", pool_size=10)
    try:
        yield Writer(engine, topics)
    finally:
        engine.dispose()
