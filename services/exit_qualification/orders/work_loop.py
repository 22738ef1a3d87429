"""Loop: repeat a step until stopped, and retry while a dependency fails."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from shared.back_off import BackOff
from shared.clock import Clock
from shared.errors import ExitflowError
from shared.postgres.failures import reason
from shared.runtime.health import Health
from shared.runtime.stopping import Stop

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
        Tells the seconds to wait after a step without work.
    """

    name: str
    step: Callable[[], bool]
    idle_s: Callable[[], float]

    def run(self, health: Health, stop: Stop) -> None:
        """Repeat the step until stopped. Report database and broker errors to health and retry with back-off."""
        back_off = BackOff(FIRST_WAIT_S, LONGEST_WAIT_S)
        while not stop.is_set():
            try:
                wait_s = 0.0 if self.step() else self.idle_s()
                health.fine(self.name)
                back_off.reset()
            except (SQLAlchemyError, ExitflowError) as error:
                wait_s = back_off.next_s()
                health.problem(self.name, _shown(error))
                log.warning("%s: %s; retrying in %.2f s", self.name, error, wait_s, exc_info=back_off.failures == 1)
            stop.wait(wait_s)


def always(seconds: float) -> Callable[[], float]:
    """Return a pause of the same length each time."""
    return lambda: seconds


def in_turn(*steps: Callable[[], bool]) -> Callable[[], bool]:
    """Return a step of all given steps; it returns True if any may have more work immediately."""

    def each() -> bool:
        more = [step() for step in steps]
        return any(more)

    return each


def only_if(condition: Callable[[], bool], step: Callable[[], bool]) -> Callable[[], bool]:
    """Return a step for running the given one while the condition holds."""

    def conditional() -> bool:
        return condition() and step()

    return conditional


def at_most_every(interval_s: float, step: Callable[[], bool], clock: Clock) -> Callable[[], bool]:
    """Return a step for running the given one once per interval, and after a failure with the next call."""
    next_s = 0.0

    def seldom() -> bool:
        nonlocal next_s
        if clock.monotonic() < next_s:
            return False
        more = step()
        next_s = clock.monotonic() + interval_s
        return more

    return seldom


def _shown(error: Exception) -> str:
    """Return the text of an error for operators; database messages can name hosts and stay in the log."""
    return str(error) if isinstance(error, ExitflowError) else f"database: {reason(error)}"
