"""Stop: the event for ending a process, set by signals."""

from __future__ import annotations

import logging
import signal
import threading
from types import FrameType
from typing import NoReturn

log = logging.getLogger(__name__)

SIGNAL_LOOK_S = 0.25
"""How often a waiting main thread has to wake. The kernel may hand a signal to any thread, and does so right after
the process was continued; Python's handlers run in the main thread alone, once that wakes."""


class Stop(threading.Event):
    """Set once when the process should end; `wait` on it instead of sleeping."""

    def wait(self, timeout: float | None = None) -> bool:
        """As of any event; without a limit it still lets signals be handled."""
        if timeout is not None:
            return super().wait(timeout)
        while not super().wait(SIGNAL_LOOK_S):
            pass
        return True


def stop_on_signals() -> Stop:
    """Return a `Stop` set by SIGTERM and SIGINT; a second signal ends the process at once."""
    stop = Stop()
    signalled = threading.Event()

    def handle(number: int, _: FrameType | None) -> None:
        if signalled.is_set():
            raise SystemExit(128 + number)
        signalled.set()
        log.info("stopping on %s", signal.Signals(number).name)
        stop.set()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    return stop


def exit_on_sigterm() -> None:
    """Let SIGTERM end a command by `SystemExit`, so it stops and removes everything it started."""
    signal.signal(signal.SIGTERM, _exit)


def _exit(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
