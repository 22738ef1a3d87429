"""CPU seconds of every process of the system over a period."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.orders.system import SUPERVISOR, System
from bench.relay.usage import cpu_seconds, own_cpu_seconds
from shared.clock import SystemClock


@dataclass
class Usage:
    """CPU seconds by process, and the wall-clock seconds."""

    cpu_s: dict[str, float] = field(default_factory=dict)
    wall_s: float = 0.0

    @property
    def total_s(self) -> float:
        """Return the CPU seconds of all processes together."""
        return sum(self.cpu_s.values())

    def per(self, units: int) -> dict[str, float]:
        """Return the milliseconds of CPU a unit of work took, by process."""
        return {name: 1000 * seconds / max(1, units) for name, seconds in self.cpu_s.items()}


@contextmanager
def measured(system: System) -> Iterator[Usage]:
    """Measure the block; the result is complete afterwards."""
    usage, clock = Usage(), SystemClock()
    before, began = _now(system), clock.monotonic()
    yield usage
    usage.wall_s = clock.monotonic() - began
    usage.cpu_s = {name: seconds - before[name] for name, seconds in _now(system).items()}


def _now(system: System) -> dict[str, float]:
    return {
        # The others are the supervisor's children.
        name: own_cpu_seconds(pid) if name == SUPERVISOR else cpu_seconds([pid])
        for name, pid in system.pids.items()
    }
