"""The kernel waits for a notification, never the driver: its wait ends with a busy millisecond."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any, cast

import psycopg
import pytest

from shared.postgres.notifications import notified


class Listening:
    """A listening connection; notes how long it is asked to wait itself."""

    def __init__(self, own: socket.socket, kept: int = 0) -> None:
        self._own = own
        self._kept = kept
        self.waits_s: list[float] = []

    def fileno(self) -> int:
        return self._own.fileno()

    def notifies(self, *, timeout: float, stop_after: int) -> Iterator[object]:
        self.waits_s.append(timeout)
        if self._kept:
            self._kept -= 1
            yield "kept"
        elif self.waits_s[1:] and self._own.recv(1):
            yield "came"


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection; ours has nothing to read."""
    own, other = socket.socketpair()
    own.setblocking(False)
    with own, other:
        yield own, other


def wait(connection: Listening, limit_s: float) -> bool:
    return notified(cast("psycopg.Connection[Any]", connection), limit_s)


def test_notification_that_came_with_an_earlier_answer_waits_for_nothing(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    connection = Listening(ends[0], kept=1)
    assert wait(connection, 60)
    assert connection.waits_s == [0]


def test_kernel_waits_for_notification(ends: tuple[socket.socket, socket.socket]) -> None:
    own, other = ends
    connection = Listening(own)
    other.send(b"n")
    assert wait(connection, 60)
    assert connection.waits_s == [0, 0]
