"""What can be seen of a stack from outside."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from psycopg import pq

from deploy.local.broker import answers
from deploy.local.data_directory import DataDirectory
from deploy.local.process_book import SUPERVISOR, Entry, read_processes
from deploy.local.service_process import answers_ready
from shared.clock import Clock, SystemClock


@dataclass(frozen=True)
class ProcessStatus:
    """One process now.

    Attributes
    ----------
    alive:
        It runs.
    ready:
        It says that it can work.
    uptime_s:
        Seconds since its start, 0 if it does not run.
    """

    name: str
    pid: int
    alive: bool
    ready: bool
    uptime_s: float
    restarts: int


@dataclass(frozen=True)
class StackStatus:
    """A stack now; `running` says whether a supervisor has it."""

    data_dir: Path
    running: bool
    processes: tuple[ProcessStatus, ...]

    @property
    def ready(self) -> bool:
        """Whether it runs and every process of it is ready."""
        return self.running and all(process.ready for process in self.processes)


def look_at(directory: DataDirectory, clock: Clock | None = None) -> StackStatus:
    """Ask every process that the supervisor has written down."""
    now_s = (clock or SystemClock()).now().timestamp()
    entries = read_processes(directory.process_file)
    return StackStatus(
        data_dir=directory.root,
        running=directory.is_locked(),
        processes=tuple(_status(name, entry, now_s) for name, entry in entries.items() if name != SUPERVISOR),
    )


def _status(name: str, entry: Entry, now_s: float) -> ProcessStatus:
    alive = entry.running() is not None
    return ProcessStatus(
        name=name,
        pid=entry.pid,
        alive=alive,
        ready=alive and _serves(entry.probe),
        uptime_s=max(0.0, now_s - entry.born) if alive else 0.0,
        restarts=entry.restarts,
    )


def _serves(probe: str) -> bool:
    parts = urlsplit(probe)
    match parts.scheme:
        case "http":
            return answers_ready(probe)
        case "kafka":
            return answers(parts.netloc)
        case "postgresql":
            conninfo = f"host={parts.hostname} port={parts.port} connect_timeout=2"
            return pq.PGconn.ping(conninfo.encode()) == pq.Ping.OK
        case _:
            return False
