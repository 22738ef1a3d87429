"""Writers with every habit of a service: commit late, roll back, prepare, hold on for many windows."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text

from shared.contracts.topics import TopicNames
from shared.outbox.commit_signal import LOCK
from shared.postgres.engine import open_engine
from shared.settings import Settings
from tests.integration.outbox_relay.outbox_writer import Writer

LONGEST_HOLD_S = 3.0
"""How long a transaction is held at most; many windows pass meanwhile."""

LONGEST_PAUSE_S = 0.02

MAY_PREPARE = text(f"SELECT pg_try_advisory_xact_lock_shared({LOCK})")
"""No relay rests, nor will until the end of the transaction. PostgreSQL prepares no transaction with a notification."""


class Load:
    """Threads for writing until told to stop, each with a separate random generator."""

    def __init__(self, engine: Engine, topics: TopicNames, *, seed: int, keys: int) -> None:
        self._engine = engine
        self._writer = Writer(engine, topics)
        self._seed = seed
        self._keys = keys
        self._stop = threading.Event()
        self._can_prepare = self._asks_for_prepared_transactions()

    def _asks_for_prepared_transactions(self) -> bool:
        with self._engine.connect() as connection:
            return int(connection.execute(text("SHOW max_prepared_transactions")).scalar_one()) > 0

    @contextmanager
    def from_writers(self, writers: int) -> Iterator[None]:
        """While inside, so many write; at the end every transaction of theirs is decided.

        An error of one of them is raised.
        """
        with ThreadPoolExecutor(writers, thread_name_prefix="writer") as threads:
            at_work = [threads.submit(self._write, random.Random(f"{self._seed}/{n}")) for n in range(writers)]
            try:
                yield
            finally:
                self._stop.set()
        for each in at_work:
            each.result()

    def _write(self, dice: random.Random) -> None:
        acts: list[Callable[[random.Random], None]] = [
            self._commit, self._roll_back, self._savepoint, self._old_transaction, self._held_events, self._prepare,
        ]  # fmt: skip
        weights = [50, 20, 10, 6, 2, 6 if self._can_prepare else 0]
        while not self._stop.wait(dice.uniform(0, LONGEST_PAUSE_S)):
            dice.choices(acts, weights)[0](dice)

    def _commit(self, dice: random.Random) -> None:
        self._writer.write(*self._some_keys(dice))

    def _roll_back(self, dice: random.Random) -> None:
        with self._engine.connect() as connection:
            self._writer.append(connection, self._some_keys(dice))
            connection.rollback()

    def _savepoint(self, dice: random.Random) -> None:
        """Events of an abandoned savepoint, between rows of the transaction."""
        with self._engine.begin() as connection:
            savepoint = connection.begin_nested()
            self._writer.append(connection, [f"never-{dice.randrange(self._keys)}"])
            savepoint.rollback()
            with connection.begin_nested():
                self._writer.append(connection, self._some_keys(dice))

    def _old_transaction(self, dice: random.Random) -> None:
        """It has its number early and writes its events late: others of the same keys overtake it."""
        with self._engine.begin() as connection:
            connection.execute(text("SELECT pg_current_xact_id()"))
            self._hold(dice)
            self._writer.append(connection, self._some_keys(dice))

    def _held_events(self, dice: random.Random) -> None:
        """Its events have their ids early and are committed late; the keys are its own, for others would wait."""
        with self._engine.begin() as connection:
            self._writer.append(connection, [f"held-{dice.randrange(10 * self._keys)}" for _ in range(3)])
            self._hold(dice)

    def _prepare(self, dice: random.Random) -> None:
        with self._engine.connect() as connection, connection.begin_twophase() as transaction:
            if not connection.execute(MAY_PREPARE).scalar_one():
                transaction.rollback()
                return
            self._append_prepared(connection, dice)
            transaction.prepare()
            self._hold(dice)
            transaction.rollback() if dice.random() < 0.3 else transaction.commit()

    def _append_prepared(self, connection: Connection, dice: random.Random) -> None:
        self._writer.append(connection, [f"prepared-{dice.randrange(10 * self._keys)}" for _ in range(2)])

    def _hold(self, dice: random.Random) -> None:
        self._stop.wait(dice.choice((0.05, 0.3, 1.0, LONGEST_HOLD_S)))

    def _some_keys(self, dice: random.Random) -> list[str]:
        return [f"key-{dice.randrange(self._keys)}" for _ in range(dice.randint(1, 4))]


@contextmanager
def open_load(settings: Settings, topics: TopicNames, *, seed: int, keys: int, writers: int) -> Iterator[Load]:
    """Writers with the exit role, not at work yet."""
    engine = open_engine(
        settings.require_exit_database(), "exit_qualification", application="load", pool_size=writers + 1
    )
    try:
        yield Load(engine, topics, seed=seed, keys=keys)
    finally:
        engine.dispose()
