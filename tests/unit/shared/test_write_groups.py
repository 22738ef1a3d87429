"""Group commit of requests: the content of a group, and the fate of the others when one fails."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest
from sqlalchemy.exc import DataError, OperationalError

from shared.errors import ExitflowError, InvalidInput
from shared.http.slots import Overloaded
from shared.http.write_groups import WriteGroups
from shared.postgres.group_commit import MOST_ITEMS

WAIT_S = 30.0
Outcomes = list[str | BaseException]


class Writer:
    """Writes items; the first group waits until `release` is set."""

    def __init__(self, judge: Callable[[Sequence[str]], None] = lambda _: None) -> None:
        self.groups: list[list[str]] = []
        self.release = threading.Event()
        self.began = threading.Event()
        self._judge = judge

    def __call__(self, items: Sequence[str]) -> list[str | ExitflowError]:
        self.groups.append(list(items))
        if len(self.groups) == 1:
            self.began.set()
            assert self.release.wait(WAIT_S)
        self._judge(items)
        return [InvalidInput(item) if item.startswith("bad") else f"wrote {item}" for item in items]


def identity(item: str) -> str | None:
    return item.partition("=")[0] if "=" in item else None


def answers(writer: Writer, first: str, *others: str, wait_s: float = WAIT_S) -> Outcomes:
    """Ask for `others` while the group of `first` is being written."""

    async def ask() -> Outcomes:
        groups = WriteGroups[str, str](writer, identity, wait_s)
        asked = [asyncio.ensure_future(groups.answer(first))]
        await asyncio.to_thread(writer.began.wait, WAIT_S)
        asked += [asyncio.ensure_future(groups.answer(item)) for item in others]
        await asyncio.sleep(0)
        if wait_s < WAIT_S:
            await asyncio.wait(asked[1:])
        writer.release.set()
        return await asyncio.gather(*asked, return_exceptions=True)

    work: Coroutine[Any, Any, Outcomes] = ask()
    return asyncio.run(work)


def test_requests_that_arrive_during_a_commit_share_the_next_one() -> None:
    writer = Writer()
    assert answers(writer, "a", "b", "c", "d") == ["wrote a", "wrote b", "wrote c", "wrote d"]
    assert writer.groups == [["a"], ["b", "c", "d"]]


def test_a_refused_item_refuses_no_other() -> None:
    writer = Writer()
    _, good, bad, other = answers(writer, "a", "b", "bad", "c")
    assert (good, str(bad), other) == ("wrote b", "bad", "wrote c")
    assert isinstance(bad, InvalidInput)


def test_items_of_one_identity_never_share_group_and_keep_order() -> None:
    writer = Writer()
    found = answers(writer, "a", "k=1", "k=2", "b", "k=3")
    assert found == [f"wrote {item}" for item in ("a", "k=1", "k=2", "b", "k=3")]
    assert writer.groups == [["a"], ["k=1", "b"], ["k=2"], ["k=3"]]


def test_a_group_has_at_most_so_many_items() -> None:
    writer = Writer()
    answers(writer, "a", *[f"b{n}" for n in range(MOST_ITEMS + 1)])
    assert [len(group) for group in writer.groups] == [1, MOST_ITEMS, 1]


@pytest.mark.parametrize("fault", [DataError("statement", None, Exception()), ZeroDivisionError()])
def test_an_item_that_makes_its_group_fail_fails_alone(fault: Exception) -> None:
    def judge(items: Sequence[str]) -> None:
        if "odd" in items:
            raise fault

    writer = Writer(judge)
    _, good, odd, other = answers(writer, "a", "b", "odd", "c")
    assert (good, odd, other) == ("wrote b", fault, "wrote c")


def test_nothing_is_written_again_if_it_may_be_committed() -> None:
    lost = OperationalError("statement", None, Exception(), connection_invalidated=True)

    def judge(items: Sequence[str]) -> None:
        if "b" in items:
            raise lost

    writer = Writer(judge)
    assert answers(writer, "a", "b", "c") == ["wrote a", lost, lost]
    assert writer.groups == [["a"], ["b", "c"]]


def test_item_waits_limited_time_for_group_then_is_dropped() -> None:
    writer = Writer()
    first, late = answers(writer, "a", "b", wait_s=0.05)
    assert first == "wrote a"
    assert isinstance(late, Overloaded)
    assert writer.groups == [["a"]]


def ask_again_and_again(writer: Writer, clients: int, times: int) -> None:
    """Let clients ask one request after the other; the first is alone until the others have asked too."""

    async def client(groups: WriteGroups[str, str], name: str) -> None:
        for nth in range(times):
            assert await groups.answer(f"{name}{nth}")

    async def run() -> None:
        groups = WriteGroups[str, str](writer, identity, WAIT_S)
        asking = [asyncio.ensure_future(client(groups, "first "))]
        await asyncio.to_thread(writer.began.wait, WAIT_S)
        asking += [asyncio.ensure_future(client(groups, f"client {number} ")) for number in range(1, clients)]
        await asyncio.sleep(0)
        writer.release.set()
        await asyncio.gather(*asking)

    asyncio.run(run())


def test_just_answered_clients_share_a_group_with_waiting_ones() -> None:
    writer = Writer()
    ask_again_and_again(writer, clients=5, times=4)
    assert list(map(len, writer.groups)) == [1, 5, 5, 5, 4]


def test_a_client_that_is_alone_does_not_wait_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.http.write_groups.QUIET_S", WAIT_S)
    began = time.monotonic()
    ask_again_and_again(Writer(), clients=1, times=3)
    assert time.monotonic() - began < WAIT_S


def test_request_waits_only_briefly_for_absent_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.http.write_groups.GATHER_S", WAIT_S)
    assert answers(Writer(), "a", "b", "c") == ["wrote a", "wrote b", "wrote c"]
