"""HTTP servers in this process, and clients sending any bytes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn

from tests.support.waiting import LIMIT_S, wait_until


@dataclass(frozen=True)
class Answer:
    """A response as it came."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class RawServer:
    """A server on a loopback port."""

    server: uvicorn.Server
    port: int

    def connect(self) -> socket.socket:
        """A connection with a wait of at most `LIMIT_S` for anything."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=LIMIT_S)

    def ask(self, request: bytes) -> Answer:
        """The answer to these bytes on a connection of their own."""
        with self.connect() as connection:
            connection.sendall(request)
            return read_answer(connection)

    @property
    def open_connections(self) -> int:
        """How many connections the server keeps."""
        return len(self.server.server_state.connections)


@contextmanager
def running_server(config: uvicorn.Config) -> Iterator[RawServer]:
    """A server on a free port in a thread, stopped afterwards."""
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="raw-http", daemon=True)
    thread.start()
    wait_until(lambda: server.started, "the server listens")
    try:
        yield RawServer(server, server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(LIMIT_S)
        assert not thread.is_alive()


def read_answer(connection: socket.socket) -> Answer:
    """The next response on a connection, of its declared length; nothing behind it is read."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        assert byte, f"closed after {head!r}"
        head += byte
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines if line)
    body = b""
    while len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(int(headers["content-length"]) - len(body))
    return Answer(int(status.split()[1]), headers, body)


def is_closed(connection: socket.socket) -> bool:
    """Read until the server closes; False if it does not within the time limit."""
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True
