"""Keep servers running: restart ended ones without limit, with growing waits, until stopped."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deploy.local.processes.child import size_of
from deploy.local.processes.server import Server
from deploy.local.processes.shortages import shortage, shortage_in, told_end
from shared.back_off import wait_after
from shared.clock import SystemClock
from shared.errors import Unavailable, first_line

LOOK_S = 0.25
ASK_AGAIN_S = 1.0
"""Wait between questions whether a restarted process is ready, and before writing a failed record again."""
TELL_S = 10.0
"""Wait between lines naming the processes still awaited."""
STARTS = 4
"""A server that ends so often before the stack is ready, and lacks no resource, is set up wrongly."""
SETTLED_S = 30.0
"""A process that lived so long was well: its next end counts as the first."""
_KILLED = (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT)
FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 10.0


@dataclass
class Supervised:
    """A server and how it has fared.

    Attributes
    ----------
    restartable:
        False for a server whose data dies with its process: its end is the end of the stack.
    was_ready:
        It has been ready once.
    failures_in_a_row:
        How often it ended, or could not be started, since it last was well.
    due:
        When it is to be started again, on the monotonic clock; None while it runs.
    lacks:
        The missing resource at its last end; empty if none is known.
    problem:
        Why it is being started again; empty once it is ready.
    """

    server: Server
    restartable: bool = True
    was_ready: bool = False
    restarts: int = 0
    failures_in_a_row: int = 0
    started: float = 0
    log_from: int = 0
    due: float | None = None
    ask_at: float = 0
    lacks: str = ""
    problem: str = ""

    @property
    def state(self) -> str:
        """Return e.g. ``restarting, attempt 7, No space left on device``; empty for a healthy one."""
        return f"restarting, attempt {self.failures_in_a_row}, {self.problem}" if self.problem else ""


class Supervisor:
    """Runs servers in the order they were added and ends them in the opposite one.

    Parameters
    ----------
    on_progress:
        Told, in one line, of every end, every restart and every return.
    on_change:
        Called whenever a process or its state has changed; again until it returns True, if it could not record it.
    longest_wait_s:
        Longest wait before a start; the first one is `FIRST_WAIT_S`, if shorter.
    """

    def __init__(
        self,
        on_progress: Callable[[str], None],
        on_change: Callable[[], bool],
        *,
        longest_wait_s: float = LONGEST_WAIT_S,
    ) -> None:
        self._on_progress = on_progress
        self._on_change = on_change
        self._longest_wait_s = longest_wait_s
        self._clock = SystemClock()
        self._stages: list[list[Supervised]] = []
        self._record_at: float | None = None

    @property
    def supervised(self) -> list[Supervised]:
        """Return all servers in start order."""
        return [one for stage in self._stages for one in stage]

    def launch(self, servers: Sequence[Server], *, restartable: bool = True) -> None:
        """Start a stage: servers to start, and later stop, at the same time."""
        stage: list[Supervised] = []
        self._stages.append(stage)
        for server in servers:
            one = Supervised(server, restartable)
            stage.append(one)
            self._launch(one)

    def await_ready(self, limit_s: float, stopping: Callable[[], bool], on_ready: Callable[[str], None]) -> None:
        """Wait until every server has been ready once, restarting ended ones, or until stopped.

        Raises
        ------
        Unavailable
            Some were not ready within the limit, or kept ending; `details` has their names.
        """
        began = told = self._clock.monotonic()
        while (waiting := [one for one in self.supervised if not one.was_ready]) and not stopping():
            now = self._clock.monotonic()
            if now > began + limit_s:
                raise _not_ready(waiting, f"not ready within {limit_s:.0f} s")
            if hopeless := [one for one in waiting if one.failures_in_a_row >= STARTS and not one.lacks]:
                raise _not_ready(hopeless, f"ended {STARTS} times")
            if now > told + TELL_S:
                told = now
                self._tell_waiting(waiting, f"{now - began:.0f} s of {limit_s:.0f} s")
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
            A server without a restart has ended.
        """
        while not stopping():
            self.look()
            time.sleep(LOOK_S)

    def look(self) -> None:
        """Detect ended and recovered servers since the last call, and start due ones."""
        now = self._clock.monotonic()
        for one in self.supervised:
            if one.due is None and one.server.exit_status is not None:
                self._notice_end(one, now)
            elif one.due is not None and now >= one.due:
                self._restart(one)
        # One in each look, the longest unasked first: a hanging one takes seconds to ask, and others may end.
        unasked = [one for one in self.supervised if one.due is None and one.problem and now >= one.ask_at]
        if unasked:
            self._ask(min(unasked, key=lambda one: one.ask_at))
        if self._record_at is not None and now >= self._record_at:
            self._changed()

    def stop(self) -> None:
        """End every stage, the last one first, the servers of a stage at the same time."""
        for stage in reversed(self._stages):
            for one in stage:
                one.server.ask_to_stop()
            for one in stage:
                one.server.stop()
        self._stages.clear()

    def _tell_waiting(self, waiting: Sequence[Supervised], time_of: str) -> None:
        """Tell a line for each server: some are waited for at once, and a terminal has 80 columns."""
        self._on_progress(f"waiting, {time_of}:")
        for one in waiting:
            self._on_progress(f"  {one.server.name} {_why(one)}")

    def _launch(self, one: Supervised) -> None:
        one.started = self._clock.monotonic()
        one.log_from = size_of(one.server.log_file)
        one.server.launch()
        one.due = None
        one.ask_at = one.started + LOOK_S
        self._changed()

    def _changed(self) -> None:
        self._record_at = None if self._on_change() else self._clock.monotonic() + ASK_AGAIN_S

    def _notice_end(self, one: Supervised, now: float) -> None:
        end = told_end(one.server.exit_status, one.server.log_file)
        if not one.restartable:
            raise Unavailable(f"{one.server.name} {end}, and its data with it")
        if now - one.started >= SETTLED_S:
            one.failures_in_a_row = 0
        # A full disk did not end a process killed by somebody.
        killed = one.server.exit_status in _KILLED
        one.lacks = "" if killed else shortage(one.server.log_file.parent, one.server.log_file, one.log_from)
        self._try_later(one, one.lacks or end)

    def _restart(self, one: Supervised) -> None:
        one.restarts += 1
        try:
            self._launch(one)
        except Exception as error:  # noqa: BLE001  # whatever keeps one server from starting must not end the others
            one.lacks = shortage_in(error)
            self._try_later(one, f"could not be started: {first_line(error)}")

    def _try_later(self, one: Supervised, why: str) -> None:
        one.failures_in_a_row += 1
        wait_s = wait_after(one.failures_in_a_row, FIRST_WAIT_S, self._longest_wait_s)
        one.due = self._clock.monotonic() + wait_s
        one.problem = why
        self._on_progress(f"{one.server.name}: {one.state}; next start in {wait_s:.1f} s")
        self._changed()

    def _ask(self, one: Supervised) -> None:
        try:
            is_ready = one.server.is_ready()
        except Exception as error:  # noqa: BLE001  # silence is not readiness; the others must go on
            is_ready = False
            self._on_progress(f"{one.server.name} cannot be asked whether it is ready: {first_line(error)}")
        one.ask_at = self._clock.monotonic() + ASK_AGAIN_S
        if is_ready:
            self._on_progress(f"{one.server.name} is ready again, at attempt {one.failures_in_a_row} ({one.problem})")
            one.problem = one.lacks = ""
            self._changed()


def _not_ready(failed: list[Supervised], what: str) -> Unavailable:
    named = ", ".join(f"{one.server.name} ({_why(one)}; its log is {one.server.log_file})" for one in failed)
    return Unavailable(f"{what}: {named}", servers=[one.server.name for one in failed])


def _why(one: Supervised) -> str:
    return one.state or one.server.why_not_ready() or "is ready by now"
