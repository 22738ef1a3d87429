"""Threads reading accounts: one at a time for each account, and none waits for another account."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from services.exit_qualification.orders.accounts.account_readers import AccountReaders
from tests.support.waiting import LIMIT_S


class Steps:
    """Steps with a list of their runs; they may be held up."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.go = threading.Event()
        self._changed = threading.Condition()

    def step(self, name: str, *, held: bool = False) -> Callable[[], None]:
        def work() -> None:
            if held:
                assert self.go.wait(LIMIT_S)
            with self._changed:
                self.done.append(name)
                self._changed.notify_all()

        return work

    def reach(self, count: int) -> list[str]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.done) >= count, LIMIT_S)
            return self.done


def test_pass_waits_only_for_its_own_work() -> None:
    steps, readers = Steps(), AccountReaders(LIMIT_S)
    readers.offer("slow", steps.step("offered", held=True))
    assert readers.run({"slow": steps.step("passed"), "quick": steps.step("quick")}) == {}
    assert steps.done == ["quick"]
    steps.go.set()
    assert steps.reach(3) == ["quick", "offered", "passed"], "work of the pass follows what ran"


def test_only_last_offer_during_pass_runs_once_afterwards() -> None:
    steps, readers = Steps(), AccountReaders(0.01)
    readers.run({"one": steps.step("first pass", held=True)})
    for name in ("offer 1", "offer 2"):
        readers.offer("one", steps.step(name))
    readers.run({"one": steps.step("second pass")})
    steps.go.set()
    assert steps.reach(3) == ["first pass", "second pass", "offer 2"]


def test_a_failure_is_told_by_the_next_pass() -> None:
    readers, failed = AccountReaders(LIMIT_S), threading.Event()

    def fail() -> None:
        failed.set()
        raise ValueError("odd")

    readers.offer("one", fail)
    assert failed.wait(LIMIT_S)
    failures: dict[str, BaseException] = {}
    while not failures:
        failures = readers.run({"two": lambda: None})
    assert failures.keys() == {"one"}
    with pytest.raises(ValueError, match="odd"):
        raise failures["one"]
