"""Resource usage of processes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)


@dataclass(frozen=True)
class CpuSeconds:
    """CPU time, user and system, since each process began."""

    relay: float
    postgres: float
    kafka: float

    def since(self, earlier: CpuSeconds) -> CpuSeconds:
        """Return the difference to an earlier value."""
        return CpuSeconds(self.relay - earlier.relay, self.postgres - earlier.postgres, self.kafka - earlier.kafka)


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return CPU time of processes, their living children, and ended children already waited for."""
    return sum(_cpu_of(process) for process in _with_children(pids))


def own_cpu_seconds(pid: int) -> float:
    """Return CPU time of one process without its children."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def peak_bytes(pids: Iterable[int]) -> int:
    """Return the sum of the processes' peak resident sizes (present sizes where peaks are unknown)."""
    return sum(_peak_of(process) for process in _with_children(pids))


def _with_children(pids: Iterable[int]) -> Iterator[psutil.Process]:
    for pid in pids:
        try:
            process = psutil.Process(pid)
            yield process
            yield from process.children(recursive=True)
        except psutil.NoSuchProcess:
            continue


def _cpu_of(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


def _peak_of(process: psutil.Process) -> int:
    status = Path(f"/proc/{process.pid}/status")
    try:
        found = _PEAK.search(status.read_text()) if status.exists() else None
        return int(found.group(1)) * 1024 if found else int(process.memory_info().rss)
    except (OSError, psutil.NoSuchProcess):
        return 0
