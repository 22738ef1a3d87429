"""A candidate's programs at work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bench.relay.usage import cpu_seconds, peak_bytes
from deploy.local.processes.child import Child, Command, last_lines
from shared.errors import Unavailable

STOP_LIMIT_S = 20


class Relays:
    """Programs started together."""

    def __init__(self, children: Sequence[Child]) -> None:
        self._children = children
        self._cpu_s: dict[int, float] = {}
        self._peak_bytes: dict[int, int] = {}

    @property
    def pids(self) -> list[int]:
        """Return those still running."""
        return [child.pid for child in self._children if child.exit_status is None]

    def cpu_seconds(self) -> float:
        """Return their CPU time; for ended ones, the last known value."""
        self._cpu_s |= {pid: cpu_seconds([pid]) for pid in self.pids}
        return sum(self._cpu_s.values())

    def peak_bytes(self) -> int:
        """Return the sum of their peak resident sizes; for ended ones, the last known value."""
        self._peak_bytes |= {pid: peak_bytes([pid]) for pid in self.pids}
        return sum(self._peak_bytes.values())

    def require_alive(self) -> None:
        """Raise Unavailable, with the end of its log, if one of them has failed."""
        for child in self._children:
            if child.exit_status:
                log = last_lines(child.command.log_file, 8)
                raise Unavailable(f"the relay ended with status {child.exit_status}: {log}")


@contextmanager
def running(commands: Sequence[Command]) -> Iterator[Relays]:
    """While inside, the programs run; each is stopped in order at the end, by force if it does not obey."""
    children: list[Child] = []
    try:
        children.extend(Child(command) for command in commands)
        yield Relays(children)
    finally:
        for child in children:
            child.ask_to_stop()
        for child in children:
            child.stop(STOP_LIMIT_S)
