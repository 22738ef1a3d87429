"""Data directory of one local stack, and its lock against a second supervisor."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.postgres.unix_account import make_passable, server_account
from shared.errors import Conflict


class AlreadyRunning(Conflict):
    """A supervisor runs on this data directory."""

    code = "stack_already_running"


def default_data_dir() -> Path:
    """Return ``/var/lib/exitflow`` for root, else ``exitflow`` below the user's XDG data home."""
    if os.geteuid() == 0:
        return Path("/var/lib/exitflow")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "exitflow"


class DataDirectory:
    """Where each thing of a stack is kept."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.stack_file = self.root / "stack.json"
        self.secrets_file = self.root / "secrets.json"
        self.ports_file = self.root / "ports.json"
        self.process_file = self.root / "processes.json"
        self.state_socket = self.root / "supervisor.sock"
        self.broker_file = self.root / "kafka.kind"
        self.postgres = self.root / "postgres"
        self.kafka = self.root / "kafka"
        self.paper_broker = self.root / "paper-broker"
        self.logs = self.root / "logs"
        self._lock_file = self.root / "lock"

    def make(self) -> None:
        """Create missing directories; the servers' account may enter but not list them.

        Raises
        ------
        ConfigurationError
            The account cannot reach it.
        """
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        make_passable(self.root, server_account())
        self.logs.mkdir(mode=0o700, exist_ok=True)

    def log_file(self, name: str) -> Path:
        """Return a process's log file."""
        return self.logs / f"{name}.log"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """While inside, no other supervisor can run here.

        Raises
        ------
        AlreadyRunning
            One does.
        """
        lock = os.open(self._lock_file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise AlreadyRunning(f"a stack already runs in {self.root}; `exitflow down` stops it") from None
        try:
            yield
        finally:
            os.close(lock)

    def is_locked(self) -> bool:
        """Return True if a supervisor runs here now."""
        if not self._lock_file.exists():
            return False
        # Only read: the file system may have become read-only.
        lock = os.open(self._lock_file, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False
