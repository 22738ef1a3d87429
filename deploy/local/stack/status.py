"""State of a stack as visible from outside."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from psycopg import pq

from deploy.local.kafka.broker import answers
from deploy.local.processes.registry import SUPERVISOR, Entry, parse_processes, read_processes
from deploy.local.processes.service_process import why_not_ready
from deploy.local.state.data_directory import DataDirectory
from deploy.local.state.state_socket import asked
from shared.clock import Clock, SystemClock


@dataclass(frozen=True)
class ProcessStatus:
    """One process now.

    Attributes
    ----------
    alive:
        It runs.
    ready:
        Whether it reports itself ready.
    uptime_s:
        Seconds since its start, 0 if it does not run.
    problem:
        Why it is not ready: its own reason, or why the supervisor starts it again; empty if it is ready.
    """

    name: str
    pid: int
    alive: bool
    ready: bool
    uptime_s: float
    restarts: int
    problem: str = ""


@dataclass(frozen=True)
class StackStatus:
    """A stack's current state; `running` means: a supervisor holds it."""

    data_dir: Path
    running: bool
    processes: tuple[ProcessStatus, ...]

    @property
    def ready(self) -> bool:
        """Return True if it runs and every process is ready."""
        return self.running and all(process.ready for process in self.processes)


def look_at(directory: DataDirectory, clock: Clock | None = None) -> StackStatus:
    """Probe every process listed by the supervisor."""
    now_s = (clock or SystemClock()).now().timestamp()
    entries = _entries(directory)
    return StackStatus(
        data_dir=directory.root,
        running=directory.is_locked(),
        processes=tuple(_status(name, entry, now_s) for name, entry in entries.items() if name != SUPERVISOR),
    )


def _entries(directory: DataDirectory) -> dict[str, Entry]:
    """Return the supervisor's answer, else its stored list."""
    told = asked(directory.state_socket)
    return parse_processes(told) if told else read_processes(directory.process_file)


def _status(name: str, entry: Entry, now_s: float) -> ProcessStatus:
    alive = entry.running() is not None
    problem = _problem(entry.probe) if alive else entry.problem or "ended"
    return ProcessStatus(
        name=name,
        pid=entry.pid,
        alive=alive,
        ready=not problem,
        uptime_s=max(0.0, now_s - entry.born) if alive else 0.0,
        restarts=entry.restarts,
        problem=f"{problem} ({entry.problem})" if alive and problem and entry.problem else problem,
    )


def _problem(probe: str) -> str:
    """Return the probed problem; empty if ready."""
    parts = urlsplit(probe)
    match parts.scheme:
        case "http":
            return why_not_ready(probe)
        case "kafka":
            return "" if answers(parts.netloc) else "does not answer"
        case "postgresql":
            conninfo = f"host={parts.hostname} port={parts.port} connect_timeout=2"
            return _PINGED.get(pq.PGconn.ping(conninfo.encode()), "does not answer")
        case _:
            return "cannot be asked"


_PINGED = {int(pq.Ping.OK): "", int(pq.Ping.REJECT): "is starting or stopping, or takes no more connections"}
