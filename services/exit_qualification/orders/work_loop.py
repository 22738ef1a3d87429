"""Loop that repeats a step until stopped, and retries while a dependency fails."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from services.exit_qualification.domain.outcome import retry_backoff_s
from shared.clock import SystemClock
from shared.errors import ExitflowError
from shared.postgres.failures import reason
from shared.runtime.health import Health
from shared.runtime.process import Stop

log = logging.getLogger(__name__)

FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 10.0


@dataclass(frozen=True)
class WorkLoop:
    """Work of one thread.

    Attributes
    ----------
    name:
        Name of the thread and of its health condition.
    step:
        Does one piece of work; returns True if there may be more immediately.
    idle_s:
        Seconds to wait after a step without work.
    """

    name: str
    step: Callable[[], bool]
    idle_s: float

    def run(self, health: Health, stop: Stop) -> None:
        """Repeat the step until stopped. Report database and broker errors to health and retry with back-off."""
        failures = 0
        while not stop.is_set():
            try:
                wait_s = 0.0 if self.step() else self.idle_s
                health.fine(self.name)
                failures = 0
            except (SQLAlchemyError, ExitflowError) as error:
                failures += 1
                wait_s = retry_backoff_s(failures, FIRST_WAIT_S, LONGEST_WAIT_S)
                health.problem(self.name, _shown(error))
                log.warning("%s: %s; retrying in %.2f s", self.name, error, wait_s, exc_info=failures == 1)
            stop.wait(wait_s)


def in_turn(*steps: Callable[[], bool]) -> Callable[[], bool]:
    """Return a step that runs all given steps; it returns True if any may have more work immediately."""

    def each() -> bool:
        more = [step() for step in steps]
        return any(more)

    return each


@contextmanager
def running(loops: Sequence[WorkLoop], health: Health, stop: Stop, grace_s: float) -> Iterator[None]:
    """Run every loop in a thread inside the block; afterwards stop them and wait `grace_s` in total.

    A loop still busy then, e.g. in a call without a response, is abandoned and ends with the process.

    An unexpected error ends the process, and its supervisor restarts it: without one of its threads, a worker would
    look alive and not work.
    """
    failures: list[BaseException] = []
    threads = [threading.Thread(target=_guarded, args=(loop, health, stop, failures), name=loop.name, daemon=True)
               for loop in loops]  # fmt: skip
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        _join(threads, grace_s)
    if failures:
        raise failures[0]


def _join(threads: Sequence[threading.Thread], grace_s: float) -> None:
    clock = SystemClock()
    deadline = clock.monotonic() + grace_s
    for thread in threads:
        thread.join(max(0.0, deadline - clock.monotonic()))
    for thread in threads:
        if thread.is_alive():
            log.warning(
                "%s did not finish in %.0f s; the broker's books will decide the outcome of its call",
                thread.name,
                grace_s,
            )


def _guarded(loop: WorkLoop, health: Health, stop: Stop, failures: list[BaseException]) -> None:
    try:
        loop.run(health, stop)
    except BaseException as error:  # raised again in the thread that started this one
        log.critical("%s failed", loop.name, exc_info=error)
        failures.append(error)
        signal.raise_signal(signal.SIGTERM)


def _shown(error: Exception) -> str:
    """Return the text of an error for operators; database messages can name hosts and stay in the log."""
    return str(error) if isinstance(error, ExitflowError) else f"database: {reason(error)}"
