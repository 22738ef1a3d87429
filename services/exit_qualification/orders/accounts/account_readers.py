"""Threads reading the books of accounts side by side: a silent account holds up no other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from queue import SimpleQueue

from services.exit_qualification.orders.brokers.port import BrokerUnavailable

READERS = 8

Work = Callable[[], None]


@dataclass(frozen=True, slots=True)
class _Item:
    account: str
    step: Work
    pass_: set[str]
    """Accounts to wait for in the pass of this item."""


class AccountReaders:
    """A few daemon threads; at most one piece of work of an account runs at a time.

    Parameters
    ----------
    pass_limit_s:
        Longest wait for the work of one pass; longer work goes on, and its account is left out meanwhile.
    """

    def __init__(self, pass_limit_s: float) -> None:
        self._pass_limit_s = pass_limit_s
        self._queue: SimpleQueue[_Item] = SimpleQueue()
        self._changed = threading.Condition()
        self._at_work: set[str] = set()
        self._next_of_pass: dict[str, Work] = {}
        self._next_offered: dict[str, Work] = {}
        self._failures: dict[str, BaseException] = {}
        self._started = 0

    def run(self, work: Mapping[str, Work]) -> dict[str, BaseException]:
        """Run the work of each account without running work; return the failures since the last pass.

        Work of the other accounts follows their running work, and is not waited for.
        """
        with self._changed:
            self._next_of_pass = {account: step for account, step in work.items() if account in self._at_work}
            left = work.keys() - self._at_work
            for account in sorted(left):
                self._begin(_Item(account, work[account], left))
            self._changed.wait_for(lambda: not left, self._pass_limit_s)
            failures, self._failures = self._failures, {}
            return failures

    def at_work(self) -> set[str]:
        """Return the accounts with running work."""
        with self._changed:
            return set(self._at_work)

    def offer(self, account: str, step: Work) -> None:
        """Run a step of an account at once, or after its running work; replace one already waiting for it."""
        with self._changed:
            if account in self._at_work:
                self._next_offered[account] = step
            else:
                self._begin(_Item(account, step, set()))

    def _begin(self, item: _Item) -> None:
        self._at_work.add(item.account)
        if self._started < min(READERS, len(self._at_work)):
            self._started += 1
            threading.Thread(target=self._work, name=f"account-reader-{self._started}", daemon=True).start()
        self._queue.put(item)

    def _work(self) -> None:
        while True:
            item = self._queue.get()
            failure: BaseException | None = None
            try:
                item.step()
            except BaseException as error:  # noqa: BLE001  # raised by the next pass in the waiting thread
                failure = error
            with self._changed:
                self._end(item, failure)

    def _end(self, item: _Item, failure: BaseException | None) -> None:
        if failure is not None:
            self._failures[item.account] = failure
        item.pass_.discard(item.account)
        follows = self._next_of_pass.pop(item.account, None) or self._next_offered.pop(item.account, None)
        if follows is None:
            self._at_work.discard(item.account)
        else:
            self._queue.put(_Item(item.account, follows, set()))
        self._changed.notify_all()


def raise_failures(failures: Mapping[str, BaseException]) -> None:
    """Raise the failure of a pass: first an error of no broker, else one with the names of all accounts.

    Raises
    ------
    BrokerUnavailable
        The broker of an account could not be asked.
    """
    for error in failures.values():
        if not isinstance(error, BrokerUnavailable):
            raise error
    if failures:
        raise BrokerUnavailable("; ".join(f"{account}: {error}" for account, error in sorted(failures.items())))
