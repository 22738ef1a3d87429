"""Registry file of a stack's processes, for other programs and for clean-up after a crash."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict, TypeAdapter

from deploy.local.processes.server import Server
from deploy.local.secrets.private_files import write_private

# Start times are computed from the time of boot; it moves a little with the machine's clock.
_SAME_START_S = 2.0
_ORDERLY_LIMIT_S = 30
_FORCED_LIMIT_S = 10


class Entry(BaseModel):
    """One process.

    Attributes
    ----------
    pid, born:
        Its id and its start (seconds since 1970); the pair is never reused; 0 while it does not run.
    restarts:
        How often it was started again.
    probe:
        Address for the question whether it is ready: its ``/readyz``, ``kafka://`` or ``postgresql://host:port``;
        empty if there is none.
    problem:
        Why it is being started again; empty if it is not.
    """

    model_config = ConfigDict(frozen=True)

    pid: int = 0
    born: float = 0
    restarts: int = 0
    probe: str = ""
    problem: str = ""

    @classmethod
    def of(cls, pid: int, restarts: int = 0, probe: str = "") -> Entry | None:
        """Return the entry of a running process; None if it has ended."""
        try:
            return cls(pid=pid, born=psutil.Process(pid).create_time(), restarts=restarts, probe=probe)
        except psutil.NoSuchProcess:
            return None

    def running(self) -> psutil.Process | None:
        """Return the same process if it still runs."""
        if not self.pid:
            return None
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.born) < _SAME_START_S
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


SUPERVISOR = "supervisor"
_ENTRIES = TypeAdapter(dict[str, Entry])


def read_processes(file: Path) -> dict[str, Entry]:
    """Return every process by name; empty if nothing was stored."""
    return parse_processes(file.read_bytes()) if file.exists() else {}


def parse_processes(text: bytes) -> dict[str, Entry]:
    """Parse the output of `format_processes`."""
    return _ENTRIES.validate_json(text)


def format_processes(entries: dict[str, Entry]) -> bytes:
    """Return the entries as JSON."""
    return _ENTRIES.dump_json(entries, indent=2)


def write_processes(file: Path, entries: dict[str, Entry]) -> None:
    """Replace the stored processes."""
    write_private(file, format_processes(entries).decode())


def end_leftovers(file: Path) -> list[str]:
    """End processes left by a killed supervisor; return their names.

    The kernel signalled them at its death, so most are ending already.
    """
    others = {name: entry for name, entry in read_processes(file).items() if entry.pid != os.getpid()}
    left = {name: process for name, entry in others.items() if (process := entry.running())}
    for name, process in left.items():
        _signal(process, signal.SIGINT if name == "postgres" else signal.SIGTERM)
    _, stubborn = psutil.wait_procs(left.values(), timeout=_ORDERLY_LIMIT_S)
    for process in stubborn:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(stubborn, timeout=_FORCED_LIMIT_S)
    file.unlink(missing_ok=True)
    return sorted(left)


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def entry_of(server: Server, restarts: int, problem: str = "") -> Entry:
    """Return the entry of one of our servers, running or not."""
    running = None if server.pid is None else Entry.of(server.pid, restarts, server.probe)
    entry = running or Entry(restarts=restarts, probe=server.probe)
    return entry.model_copy(update={"problem": problem})
