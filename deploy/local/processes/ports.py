"""Free ports on the loopback interface, the same ones again at the next start."""

from __future__ import annotations

import json
import socket
import zlib
from pathlib import Path

from deploy.local.secrets.private_files import write_private
from shared.errors import ConfigurationError

LOOPBACK = "127.0.0.1"

# Below the range of Linux for outgoing ports (32768 up). A client reconnecting to a stopped server could
# otherwise be given the server's own port, connect to itself and keep the server out.
FIRST_PORT = 20_000
PORTS = 12_000


class PortBook:
    """Ports by name, stored in a file for use at the next start."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._remembered: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
        self._settled: dict[str, int] = {}

    def port(self, name: str) -> int:
        """Return the port of `name`: the stored one unless it is taken, else a free one."""
        if name not in self._settled:
            self._settled[name] = self._choose(name)
        return self._settled[name]

    def _choose(self, name: str) -> int:
        remembered = self._remembered.get(name)
        if remembered is not None and is_free(remembered):
            return remembered
        port = free_port(str(self._file), avoid=set(self._remembered.values()))
        self._remembered[name] = port
        write_private(self._file, json.dumps(self._remembered, indent=2))
        return port


def free_port(seed: str, avoid: set[int] | None = None) -> int:
    """Return a free port; the search starts at a place depending on `seed`: neighbours rarely collide.

    Raises
    ------
    ConfigurationError
        All are taken.
    """
    start = zlib.crc32(seed.encode())
    for step in range(PORTS):
        port = FIRST_PORT + (start + step) % PORTS
        if port not in (avoid or set()) and is_free(port):
            return port
    raise ConfigurationError(f"no free port between {FIRST_PORT} and {FIRST_PORT + PORTS}")


def is_free(port: int) -> bool:
    """Return True if a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def accepts(port: int) -> bool:
    """Return True if this loopback port accepts connections."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1):
            return True
    except OSError:
        return False
