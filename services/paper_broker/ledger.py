"""Ledger: one SQLite file with one writer at a time; every change is one transaction."""

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
from services.paper_broker.gtt_store import GttStore
from services.paper_broker.market_store import MarketStore
from services.paper_broker.order_store import OrderStore
from services.paper_broker.position_store import PositionStore
from services.paper_broker.session_store import SessionStore
from services.paper_broker.surprise_store import SurpriseStore
from shared.errors import ConfigurationError

FILE_NAME = "ledger.sqlite3"
READERS = 4
BUSY_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Books:
    """Repositories of the ledger within one transaction."""

    orders: OrderStore
    positions: PositionStore
    market: MarketStore
    faults: FaultStore
    sessions: SessionStore
    gtts: GttStore
    surprises: SurpriseStore


@dataclass(frozen=True, slots=True)
class Admission:
    """Decides on most calls without a look at the ledger.

    Attributes
    ----------
    logged_out:
        Accounts with refused tokens.
    with_faults:
        Accounts with a fault rule: their calls need a look.
    """

    logged_out: frozenset[str]
    with_faults: frozenset[str]


class Ledger:
    """Transactions on the ledger's file. Thread-safe.

    Committed data survives the end of the process. A power cut may lose the latest transactions together
    (WAL with ``synchronous=NORMAL``): acceptable for a paper ledger.
    """

    def __init__(self, directory: Path) -> None:
        """Open the ledger in `directory`; create it if it does not exist, upgrade one of an earlier version.

        Raises
        ------
        ConfigurationError
            The existing file was written by a newer version.
        """
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / FILE_NAME
        self._writer = _connect(path)
        self._writing = threading.Lock()
        _prepare(self._writer, path)
        self._admission = _admission_in(_books(self._writer, frozenset()))
        self._readers: LifoQueue[sqlite3.Connection] = LifoQueue()
        for _ in range(READERS):
            self._readers.put(_connect(path))

    @property
    def is_free(self) -> bool:
        """Return whether no transaction writes now."""
        return not self._writing.locked()

    @property
    def admission(self) -> Admission:
        """Return which accounts are logged out or have fault rules, by the last commit."""
        return self._admission

    @contextmanager
    def write(self) -> Iterator[Books]:
        """Open a write transaction; commit at the end of the block, roll back on an exception."""
        with self._writing:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                books = _books(self._writer, self._admission.with_faults)
                yield books
                is_changed = books.sessions.changed or books.faults.changed
                admission = _admission_in(books) if is_changed else self._admission
                self._writer.execute("COMMIT")
                self._admission = admission
            finally:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")

    @contextmanager
    def read(self) -> Iterator[Books]:
        """Open a consistent view of committed data, without waiting for a writer."""
        connection = self._readers.get()
        try:
            connection.execute("BEGIN")
            try:
                yield _books(connection, self._admission.with_faults)
            finally:
                connection.execute("ROLLBACK")
        finally:
            self._readers.put(connection)

    def close(self) -> None:
        """Close the file; call it after the last use of the ledger."""
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
    if version == 0:
        _run(connection, schema.TABLES, schema.VERSION)
        return
    if version not in schema.UPGRADES:
        raise ConfigurationError(
            f"{path} is a ledger of version {version}, not {schema.VERSION}; move the file away to start a new ledger"
        )
    connection.execute("PRAGMA foreign_keys = OFF")  # tables with references from others are replaced
    for older in range(version, schema.VERSION):
        _run(connection, schema.UPGRADES[older], older + 1)
    connection.execute("PRAGMA foreign_keys = ON")


def _run(connection: sqlite3.Connection, script: str, version: int) -> None:
    """Run a script and store the version it leads to in one transaction."""
    connection.executescript(f"BEGIN; {script} PRAGMA user_version = {version}; COMMIT;")


def _books(connection: sqlite3.Connection, with_faults: frozenset[str]) -> Books:
    return Books(
        OrderStore(connection),
        PositionStore(connection),
        MarketStore(connection),
        FaultStore(connection, with_faults),
        SessionStore(connection),
        GttStore(connection),
        SurpriseStore(connection),
    )


def _admission_in(books: Books) -> Admission:
    return Admission(books.sessions.logged_out(), books.faults.accounts())
