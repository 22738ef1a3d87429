"""Supervisor state served from memory over a Unix socket: files cannot be written on a full or read-only disk."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ASK_LIMIT_S = 2.0
_LONGEST_PATH = 100
"""Longest path accepted by every system as the address of a socket, in bytes."""

log = logging.getLogger(__name__)


@contextmanager
def telling(path: Path, state: Callable[[], bytes]) -> Iterator[None]:
    """Serve `state()` to this account's clients of the socket at `path` while inside.

    If the file system has no such sockets, log it; the state is then only in files.
    """
    try:
        listener = _listen(path)
    except OSError as error:
        log.warning("no socket at %s: %s; `exitflow status` reads files alone", path, error)
        yield
        return
    thread = threading.Thread(target=_serve, args=(listener, state), name="state", daemon=True)
    thread.start()
    try:
        yield
    finally:
        # Closing alone would leave the thread in accept.
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(ASK_LIMIT_S)
        with suppress(OSError):
            path.unlink()


def asked(path: Path) -> bytes | None:
    """Return the answer of the supervisor listening at `path`; None without one."""
    try:
        with socket.socket(socket.AF_UNIX) as connection, _address(path) as address:
            connection.settimeout(ASK_LIMIT_S)
            connection.connect(address)
            return b"".join(iter(lambda: connection.recv(65536), b""))
    except OSError:
        return None


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    try:
        with _address(path) as address:
            listener.bind(address)
        path.chmod(0o600)
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def _serve(listener: socket.socket, state: Callable[[], bytes]) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection, suppress(OSError):
            connection.settimeout(ASK_LIMIT_S)
            connection.sendall(state())


@contextmanager
def _address(path: Path) -> Iterator[str]:
    """Return a short enough socket name, if needed through an open descriptor of its directory (Linux)."""
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
