"""Group commit of threads: who writes for whom, and the fate of the others when one batch fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from sqlalchemy.exc import DataError, OperationalError

from shared.errors import Unavailable
from shared.postgres.group_commit import MOST_ITEMS, GroupQueue, ThreadGroups, Waiting
from tests.support.waiting import LIMIT_S

WAIT_S = LIMIT_S
Batch = Sequence[str]


class Writer:
    """Writes items; the first group waits until `release` is set."""

    def __init__(self, judge: Callable[[Batch], None] = lambda _: None) -> None:
        self.groups: list[list[str]] = []
        self.release = threading.Event()
        self.began = threading.Event()
        self._judge = judge

    def __call__(self, items: Batch) -> list[str]:
        self.groups.append(list(items))
        if len(self.groups) == 1:
            self.began.set()
            assert self.release.wait(WAIT_S)
        self._judge(items)
        return [f"wrote {item}" for item in items]


def written(writer: Writer, first: Batch, *others: Batch) -> list[Future[Sequence[str]]]:
    """Write `others`, each in its thread, while the group of `first` is being written; the outcome of each."""
    groups = ThreadGroups[str, str](writer)
    queued = threading.Semaphore(0)
    put = GroupQueue.put

    def noting(queue: GroupQueue[Waiting], waiting: Waiting) -> None:
        put(queue, waiting)
        queued.release()

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1 + len(others)) as pool:
        patch.setattr(GroupQueue, "put", noting)
        asked = [pool.submit(groups.answers, first)]
        assert writer.began.wait(WAIT_S)
        assert queued.acquire(timeout=WAIT_S)
        for batch in others:
            asked.append(pool.submit(groups.answers, batch))
            assert queued.acquire(timeout=WAIT_S)
        writer.release.set()
    return asked


def test_batches_that_arrive_during_a_commit_share_the_next_one() -> None:
    writer = Writer()
    found = written(writer, ["a"], ["b", "c"], ["d"], ["e"])
    assert [each.result() for each in found] == [["wrote a"], ["wrote b", "wrote c"], ["wrote d"], ["wrote e"]]
    assert writer.groups == [["a"], ["b", "c", "d", "e"]]


def test_batch_is_never_split_and_group_size_is_limited() -> None:
    writer = Writer()
    written(writer, ["a"], ["b"] * (MOST_ITEMS - 1), ["c", "d"], ["e"])
    assert [len(group) for group in writer.groups] == [1, MOST_ITEMS - 1, 3]


@pytest.mark.parametrize("fault", [DataError("statement", None, Exception()), ZeroDivisionError()])
def test_a_batch_that_makes_its_group_fail_fails_alone(fault: Exception) -> None:
    def judge(items: Batch) -> None:
        if "odd" in items:
            raise fault

    _, good, odd, other = written(Writer(judge), ["a"], ["b"], ["odd"], ["c"])
    assert (good.result(), odd.exception(), other.result()) == (["wrote b"], fault, ["wrote c"])


def test_nothing_is_written_again_if_it_may_be_committed() -> None:
    lost = OperationalError("statement", None, Exception(), connection_invalidated=True)

    def judge(items: Batch) -> None:
        if "b" in items:
            raise lost

    writer = Writer(judge)
    _, *others = written(writer, ["a"], ["b"], ["c"])
    assert [each.exception() for each in others] == [lost, lost]
    assert len(writer.groups) == 2


def test_other_writers_are_told_when_writing_thread_ends() -> None:
    def judge(items: Batch) -> None:
        if "b" in items:
            raise SystemExit

    _, *others = written(Writer(judge), ["a"], ["b"], ["c"])
    kinds = sorted(type(each.exception()).__name__ for each in others)
    assert kinds == [SystemExit.__name__, Unavailable.__name__]
