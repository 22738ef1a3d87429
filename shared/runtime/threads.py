"""ThreadGroup: the threads of a process; they end together."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from shared.clock import SystemClock
from shared.runtime.stopping import Stop

log = logging.getLogger(__name__)

STOP_LIMIT_S = 12.0
"""Longest time for all threads to end; the local supervisor kills a process only after 15 s."""

Work = Callable[[Stop], None]


class ThreadGroup(AbstractContextManager["ThreadGroup"]):
    """Run work in threads inside the block; afterwards stop all and wait `limit_s` seconds in total.

    A thread's failure sets `stop`, and the block raises its error. Without one of its threads a process would look
    alive and not work, so it ends and its supervisor restarts it. A thread still busy after the limit, for example in a
    call without an answer, is abandoned and ends with the process.
    """

    def __init__(self, stop: Stop, limit_s: float = STOP_LIMIT_S) -> None:
        self.stop = stop
        self._limit_s = limit_s
        self._clock = SystemClock()
        self._threads: list[threading.Thread] = []
        self._failures: list[BaseException] = []

    def add(self, name: str, work: Work) -> Self:
        """Add work before the block; it must return soon after `stop` is set."""
        self._threads.append(threading.Thread(target=self._guard, args=(name, work), name=name, daemon=True))
        return self

    def busy(self) -> list[str]:
        """Return the names of the threads still running."""
        return [thread.name for thread in self._threads if thread.is_alive()]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.stop.set()
        deadline = self._clock.monotonic() + self._limit_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - self._clock.monotonic()))
        if busy := self.busy():
            log.warning("still busy after %.0f s and abandoned: %s", self._limit_s, ", ".join(busy))
        if self._failures:
            raise self._failures[0]

    def _guard(self, name: str, work: Work) -> None:
        try:
            work(self.stop)
        except BaseException as error:  # raised again in the thread of the block
            log.critical("%s failed", name, exc_info=error)
            self._failures.append(error)
            self.stop.set()
