"""Stop: the event for ending a process, set by signals."""

from __future__ import annotations

import logging
import os
import select
import signal
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

log = logging.getLogger(__name__)


class Stop(threading.Event):
    """Set once when the process should end; `wait` on it instead of sleeping.

    Its descriptor is readable from then on: a wait for something else of the kernel can watch it too. Before, it may
    become readable for a moment without a reason.
    """

    def __init__(self) -> None:
        super().__init__()
        self._calls: list[Callable[[], None]] = []
        self._reader, self._writer = os.pipe()
        for end in (self._reader, self._writer):
            os.set_blocking(end, False)
            weakref.finalize(self, os.close, end)

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._reader

    def call(self, end: Callable[[], None]) -> None:
        """Call this once the stop is set, for waits that know nothing of it."""
        self._calls.append(end)
        if self.is_set():
            end()

    def set(self) -> None:
        """End every wait."""
        super().set()
        self._tell()
        for end in self._calls:
            end()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait as for any event; without a limit, signals are still handled."""
        if timeout is not None:
            return super().wait(timeout)
        readable = select.poll()
        readable.register(self, select.POLLIN)
        with self._told_of_signals():
            while not self.is_set():
                readable.poll()
                self._forget()
        return True

    @contextmanager
    def _told_of_signals(self) -> Iterator[None]:
        """Let each signal wake the main thread, whichever thread the kernel hands it to: the handlers run there."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)

    def _tell(self) -> None:
        with suppress(BlockingIOError):  # full: it is readable anyway
            os.write(self._writer, b"\0")

    def _forget(self) -> None:
        """Take what signals have written, unless the stop is set: the descriptor then stays readable."""
        if self.is_set():
            return
        with suppress(BlockingIOError):
            os.read(self._reader, 4096)
        if self.is_set():
            self._tell()


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
