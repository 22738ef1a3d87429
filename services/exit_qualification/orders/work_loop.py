"""WorkLoop: a step done again and again until told to stop; what is down is waited for, never fallen over."""

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
    """What one thread does.

    Attributes
    ----------
    name:
        Name of the thread, and of the condition of health that every step renews.
    step:
        Works once; True if there may be more to do at once.
    idle_s:
        Seconds to wait after a step that had nothing to do.
    """

    name: str
    step: Callable[[], bool]
    idle_s: float

    def run(self, health: Health, stop: Stop) -> None:
        """Work until told to stop. Database and broker errors are shown by health and tried again, ever later."""
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
                log.warning("%s: %s; again in %.2f s", self.name, error, wait_s, exc_info=failures == 1)
            stop.wait(wait_s)


def in_turn(*steps: Callable[[], bool]) -> Callable[[], bool]:
    """One step of several, each done every time; True if any may have more to do at once."""

    def each() -> bool:
        more = [step() for step in steps]
        return any(more)

    return each


@contextmanager
def running(loops: Sequence[WorkLoop], health: Health, stop: Stop, grace_s: float) -> Iterator[None]:
    """While inside, run every loop in a thread; afterwards tell them to stop and give them `grace_s` together.

    A loop that has not finished by then, as in a call that gets no answer, is left behind and ends with the process.

    An error that no loop expects takes the process down, for its supervisor to start again: a worker without one of
    its threads would look alive and not work.
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
                "%s did not finish in %.0f s; the broker's books decide what it was about", thread.name, grace_s
            )


def _guarded(loop: WorkLoop, health: Health, stop: Stop, failures: list[BaseException]) -> None:
    try:
        loop.run(health, stop)
    except BaseException as error:  # raised again in the thread that started this one
        log.critical("%s failed", loop.name, exc_info=error)
        failures.append(error)
        signal.raise_signal(signal.SIGTERM)


def _shown(error: Exception) -> str:
    """What operators may see of an error; the database's own texts can name hosts and stay in the log."""
    return str(error) if isinstance(error, ExitflowError) else f"database: {reason(error)}"
