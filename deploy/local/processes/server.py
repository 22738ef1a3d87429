"""A server of the embedded stack, seen from those who start and stop it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Protocol

from deploy.local.processes.child import Child, Command, last_lines
from shared.clock import SystemClock
from shared.errors import Unavailable

READINESS_POLL_S = 0.05


class Server(Protocol):
    """A server to start, probe and stop."""

    @property
    def name(self) -> str:
        """Short and unique in the stack."""
        ...

    @property
    def log_file(self) -> Path:
        """Return its log file."""
        ...

    @property
    def probe(self) -> str:
        """Return the URL for probes by other processes: scheme http, kafka or postgresql."""
        ...

    @property
    def pid(self) -> int | None:
        """Return its process id while it runs."""
        ...

    @property
    def exit_status(self) -> int | None:
        """Return its exit status; None while it runs or before its first start."""
        ...

    def launch(self) -> None:
        """Prepare and start it, without waiting until it is ready."""
        ...

    def is_ready(self) -> bool:
        """Return True if it is ready now."""
        ...

    def why_not_ready(self) -> str:
        """Return in a few words why it is not ready; call it only after `is_ready` returned False."""
        ...

    def ask_to_stop(self) -> None:
        """Begin its orderly end."""
        ...

    def stop(self) -> None:
        """End it in order, within a limit by force."""
        ...


class ChildServer:
    """Common base of all servers: one child process and the wait for it."""

    start_limit_s: float = 60
    stop_limit_s: float = 20

    def __init__(self, name: str, log_file: Path) -> None:
        self._name = name
        self._log_file = log_file
        self._child: Child | None = None

    @property
    def name(self) -> str:
        """Short and unique in the stack."""
        return self._name

    @property
    def log_file(self) -> Path:
        """Return its log file."""
        return self._log_file

    @property
    def pid(self) -> int | None:
        """Return its process id while it runs."""
        running = self._child is not None and self._child.exit_status is None
        return self._child.pid if running and self._child else None

    @property
    def exit_status(self) -> int | None:
        """Return its exit status; None while it runs or before its first start."""
        return self._child.exit_status if self._child else None

    @property
    def probe(self) -> str:
        """Return the URL for probes by other processes; empty here."""
        return ""

    def command(self) -> Command:
        """Return the command to run; called before each start."""
        raise NotImplementedError

    def is_ready(self) -> bool:
        """Return True if it is ready now."""
        raise NotImplementedError

    def why_not_ready(self) -> str:
        """Return in a few words why it is not ready; call it only after `is_ready` returned False."""
        return "does not answer"

    def launch(self) -> None:
        """Prepare and start it, without waiting until it is ready."""
        self._child = Child(self.command())

    def start(self) -> None:
        """Start it and return once it serves.

        Raises
        ------
        Unavailable
            It ended, or did not serve within its limit; the message carries the end of its log.
        """
        self.launch()
        await_ready(self, self.start_limit_s)

    def ask_to_stop(self) -> None:
        """Begin its orderly end."""
        if self._child is not None:
            self._child.ask_to_stop()

    def stop(self) -> None:
        """End it in order, within a limit by force; nothing if it does not run."""
        if self._child is not None:
            self._child.stop(self.stop_limit_s)


def await_ready(server: Server, limit_s: float) -> None:
    """Return once the server serves; stop it and raise Unavailable if it ends or the limit passes first."""
    clock = SystemClock()
    deadline = clock.monotonic() + limit_s
    while not server.is_ready():
        if server.exit_status is not None:
            raise Unavailable(_failure(server, f"ended with status {server.exit_status}"))
        if clock.monotonic() > deadline:
            server.stop()
            raise Unavailable(_failure(server, f"was not ready within {limit_s:.0f} s"))
        time.sleep(READINESS_POLL_S)


def _failure(server: Server, what: str) -> str:
    return f"{server.name} {what}; the end of {server.log_file}:\n{last_lines(server.log_file)}"
