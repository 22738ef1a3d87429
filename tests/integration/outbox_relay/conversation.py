"""A relay's messages to its database, as traced by libpq itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
from psycopg import pq

from services.outbox_relay import relay as outbox_relay
from services.outbox_relay.database import connection as relay_connection
from services.outbox_relay.database.connection import Connection


class Conversation:
    """The traces of all connections opened by relays while a test runs; each line is a message."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files: list[IO[Any]] = []

    def connect(self, url: str, schema: str) -> Connection:
        """A connection as the relay opens it, traced."""
        opened = relay_connection.connect(url, schema)
        file = (self._directory / f"connection-{len(self._files)}").open("wb")
        self._files.append(file)
        opened.pgconn.trace(file.fileno())
        opened.pgconn.set_trace_flags(pq.Trace.SUPPRESS_TIMESTAMPS)
        return opened

    def statements(self) -> int:
        """How many statements were executed so far, BEGIN and COMMIT among them."""
        files = sorted(self._directory.glob("connection-*"))
        return sum(map(_executes, (line for file in files for line in file.read_text(errors="replace").splitlines())))

    def close(self) -> None:
        """Trace no more."""
        for file in self._files:
            file.close()


def _executes(line: str) -> bool:
    """Fields of a line: who speaks (F for the client), length, message, its content."""
    sender, _, message, *_ = (*line.split("\t"), "", "", "")
    return sender == "F" and message in ("Execute", "Query")


@contextmanager
def overheard(monkeypatch: pytest.MonkeyPatch, directory: Path) -> Iterator[Conversation]:
    """While inside, whatever relays of this process say to their databases is traced."""
    conversation = Conversation(directory)
    monkeypatch.setattr(outbox_relay, "connect", conversation.connect)
    try:
        yield conversation
    finally:
        conversation.close()
