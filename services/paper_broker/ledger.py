"""The ledger: one SQLite file, one writer at a time, every change one transaction."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import LifoQueue

from services.paper_broker import schema
from services.paper_broker.fault_store import FaultStore
from services.paper_broker.market_store import MarketStore
from services.paper_broker.order_store import OrderStore
from services.paper_broker.position_store import PositionStore
from services.paper_broker.session_store import SessionStore
from shared.errors import ConfigurationError

FILE_NAME = "ledger.sqlite3"
READERS = 4
BUSY_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Books:
    """The ledger's repositories within one transaction."""

    orders: OrderStore
    positions: PositionStore
    market: MarketStore
    faults: FaultStore
    sessions: SessionStore


class Ledger:
    """Transactions on the ledger's file. Safe to share between threads.

    What is committed survives the death of the process. A power cut may take the last moments with it, all
    of them together (WAL with ``synchronous=NORMAL``), which a paper ledger can afford.
    """

    def __init__(self, directory: Path) -> None:
        """Open the ledger in `directory`, or begin one.

        Raises
        ------
        ConfigurationError
            The file there was written by another version.
        """
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / FILE_NAME
        self._writer = _connect(path)
        self._writing = threading.Lock()
        _prepare(self._writer, path)
        self._readers: LifoQueue[sqlite3.Connection] = LifoQueue()
        for _ in range(READERS):
            self._readers.put(_connect(path))

    @contextmanager
    def write(self) -> Iterator[Books]:
        """A transaction that changes: committed at the end of the block, rolled back if it raises."""
        with self._writing:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield _books(self._writer)
                self._writer.execute("COMMIT")
            finally:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")

    @contextmanager
    def read(self) -> Iterator[Books]:
        """A consistent view of what is committed; it does not wait for a writer."""
        connection = self._readers.get()
        try:
            connection.execute("BEGIN")
            try:
                yield _books(connection)
            finally:
                connection.execute("ROLLBACK")
        finally:
            self._readers.put(connection)

    def close(self) -> None:
        """Close the file; call it when nothing uses the ledger any more."""
        for _ in range(READERS):
            self._readers.get().close()
        with self._writing:
            self._writer.close()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_S)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == schema.VERSION:
        return
    if version != 0:
        raise ConfigurationError(f"{path} is a ledger of version {version}, not {schema.VERSION}: move it away")
    connection.executescript(f"BEGIN; {schema.TABLES} PRAGMA user_version = {schema.VERSION}; COMMIT;")


def _books(connection: sqlite3.Connection) -> Books:
    return Books(
        OrderStore(connection),
        PositionStore(connection),
        MarketStore(connection),
        FaultStore(connection),
        SessionStore(connection),
    )
