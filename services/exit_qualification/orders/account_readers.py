"""Threads that read the books of accounts side by side, so that one that does not answer holds up no other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from queue import SimpleQueue

READERS = 8

Work = Callable[[], None]


class AccountReaders:
    """A few daemon threads; at most one piece of work of an account runs at a time.

    Parameters
    ----------
    pass_limit_s:
        Longest wait for the work of one pass; what takes longer goes on, and its account is left out meanwhile.
    """

    def __init__(self, pass_limit_s: float, threads: int = READERS) -> None:
        self._pass_limit_s = pass_limit_s
        self._threads = threads
        self._queue: SimpleQueue[tuple[str, Work]] = SimpleQueue()
        self._changed = threading.Condition()
        self._at_work: set[str] = set()
        self._failures: dict[str, BaseException] = {}
        self._started = 0

    def run(self, work: Mapping[str, Work]) -> dict[str, BaseException]:
        """Run the work of each account that has none running; return what has failed since the last pass."""
        with self._changed:
            due = {account: step for account, step in work.items() if account not in self._at_work}
            self._at_work.update(due)
            self._start(min(self._threads, len(self._at_work)))
            for item in due.items():
                self._queue.put(item)
            self._changed.wait_for(lambda: self._at_work.isdisjoint(due), self._pass_limit_s)
            failures, self._failures = self._failures, {}
            return failures

    def _start(self, wanted: int) -> None:
        while self._started < wanted:
            self._started += 1
            threading.Thread(target=self._work, name=f"account-reader-{self._started}", daemon=True).start()

    def _work(self) -> None:
        while True:
            account, step = self._queue.get()
            failure: BaseException | None = None
            try:
                step()
            except BaseException as error:  # noqa: BLE001  # raised by the next pass in the thread that waits for it
                failure = error
            with self._changed:
                self._at_work.discard(account)
                if failure is not None:
                    self._failures[account] = failure
                self._changed.notify_all()
