"""Keeps servers running: starts again what ended, with growing waits, until told to stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from deploy.local.restarts import Backoff
from deploy.local.server import Server
from shared.clock import Clock, SystemClock
from shared.errors import ExitflowError, Unavailable

LOOK_S = 0.1
STARTS = 4
"""A server that ends so often before it is ready will not become so."""


@dataclass
class Supervised:
    """A server and how it has fared.

    Attributes
    ----------
    restartable:
        False for a server whose data dies with its process: its end is the end of the stack.
    was_ready:
        It has been ready once.
    due:
        When it is to be started again, on the monotonic clock; None while it runs.
    """

    server: Server
    restartable: bool = True
    was_ready: bool = False
    restarts: int = 0
    failures_in_a_row: int = 0
    started: float = 0
    due: float | None = field(default=None)


class Supervisor:
    """Runs servers in the order they were added and ends them in the opposite one.

    Parameters
    ----------
    on_progress:
        Told, in one line, of every end and every restart.
    on_change:
        Called whenever a process id has changed.
    """

    def __init__(
        self,
        on_progress: Callable[[str], None],
        on_change: Callable[[], None],
        *,
        backoff: Backoff | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._on_progress = on_progress
        self._on_change = on_change
        self._backoff = backoff or Backoff()
        self._clock = clock or SystemClock()
        self._stages: list[list[Supervised]] = []

    @property
    def supervised(self) -> list[Supervised]:
        """All of them, in the order of their start."""
        return [one for stage in self._stages for one in stage]

    def launch(self, servers: Sequence[Server], *, restartable: bool = True) -> None:
        """Start a stage: servers that may start, and later stop, at the same time."""
        stage: list[Supervised] = []
        self._stages.append(stage)
        for server in servers:
            one = Supervised(server, restartable)
            stage.append(one)
            self._launch(one)

    def await_ready(self, limit_s: float, stopping: Callable[[], bool], on_ready: Callable[[str], None]) -> None:
        """Return once every server has been ready, restarting those that end meanwhile, or when stopping.

        Raises
        ------
        Unavailable
            Some were not ready within the limit, or kept ending; `details` has their names.
        """
        deadline = self._clock.monotonic() + limit_s
        while (waiting := [one for one in self.supervised if not one.was_ready]) and not stopping():
            if self._clock.monotonic() > deadline:
                raise _not_ready(waiting, f"not ready within {limit_s:.0f} s")
            if hopeless := [one for one in waiting if one.failures_in_a_row >= STARTS]:
                raise _not_ready(hopeless, f"ended {STARTS} times")
            for one in waiting:
                if one.server.is_ready():
                    one.was_ready = True
                    on_ready(one.server.name)
            self.look()
            time.sleep(LOOK_S)

    def run(self, stopping: Callable[[], bool]) -> None:
        """Watch until `stopping`.

        Raises
        ------
        Unavailable
            A server that cannot be started again has ended.
        """
        while not stopping():
            self.look()
            time.sleep(LOOK_S)

    def look(self) -> None:
        """Notice what has ended since the last look, and start what is due."""
        now = self._clock.monotonic()
        for one in self.supervised:
            if one.due is None and one.server.exit_status is not None:
                self._plan_restart(one, now)
            elif one.due is not None and now >= one.due:
                self._restart(one)

    def stop(self) -> None:
        """End every stage, the last one first, the servers of a stage at the same time."""
        for stage in reversed(self._stages):
            for one in stage:
                one.server.ask_to_stop()
            for one in stage:
                one.server.stop()
        self._stages.clear()

    def _launch(self, one: Supervised) -> None:
        one.started = self._clock.monotonic()
        one.due = None
        one.server.launch()
        self._on_change()

    def _plan_restart(self, one: Supervised, now: float) -> None:
        status = one.server.exit_status
        if not one.restartable:
            raise Unavailable(f"{one.server.name} ended with status {status}, and its data with it")
        lived_s = now - one.started
        one.failures_in_a_row = 1 if lived_s >= self._backoff.settled_s else one.failures_in_a_row + 1
        wait_s = self._backoff.wait_s(one.failures_in_a_row)
        one.due = now + wait_s
        self._on_progress(f"{one.server.name} ended with status {status}; starting it again in {wait_s:.1f} s")
        self._on_change()

    def _restart(self, one: Supervised) -> None:
        one.restarts += 1
        try:
            self._launch(one)
        except (ExitflowError, OSError) as error:
            one.failures_in_a_row += 1
            one.due = self._clock.monotonic() + self._backoff.wait_s(one.failures_in_a_row)
            self._on_progress(f"{one.server.name} could not be started: {error}")


def _not_ready(failed: list[Supervised], what: str) -> Unavailable:
    names = [one.server.name for one in failed]
    return Unavailable(f"{what}: {', '.join(names)}", servers=names)
