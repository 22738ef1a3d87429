"""Group commit: requests that arrive while a transaction is being committed share the next one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from shared.errors import ExitflowError, Unavailable
from shared.http.conflicts import is_conflict, repeating_conflicts
from shared.http.slots import Overloaded, run_in_slot
from shared.postgres.row_locks import is_lock_timeout

Item = TypeVar("Item")
Answer = TypeVar("Answer")

MOST_ITEMS = 256
"""Items of a group: its transaction stays short, since others wait for the rows that it locks."""


@dataclass(eq=False)
class _Waiting(Generic[Item, Answer]):
    item: Item
    answer: asyncio.Future[Answer]
    is_taken: bool = False

    def resolve(self, answer: Answer | Exception) -> None:
        if self.answer.done():  # its client has gone, or it has waited too long
            return
        if isinstance(answer, Exception):
            self.answer.set_exception(answer)
        else:
            self.answer.set_result(answer)


class WriteGroups(Generic[Item, Answer]):
    """Writes items of concurrent requests in groups, one group after the other, each in one transaction.

    An item without others is written at once. An item that makes its group fail does not fail the others: each of them
    is then written alone. Belongs to one event loop.

    Parameters
    ----------
    write:
        Commits a whole group in a worker thread, and returns an answer or an error for each item.
    identity:
        Items of the same identity are never in one group; None: an item without identity.
    wait_s:
        An item waits so long until it is in a group.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Item]], Sequence[Answer | ExitflowError]],
        identity: Callable[[Item], Hashable],
        wait_s: float,
    ) -> None:
        self._write: Callable[[Sequence[Item]], Sequence[Answer | ExitflowError]] = repeating_conflicts(write)
        self._identity = identity
        self._wait_s = wait_s
        self._queue: deque[_Waiting[Item, Answer]] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._alone: set[asyncio.Task[None]] = set()

    async def answer(self, item: Item) -> Answer:
        """Return the answer of an item once its transaction is committed.

        Raises
        ------
        ExitflowError
            `write` refuses the item.
        Overloaded
            The item was in no group in time; nothing was done.
        SQLAlchemyError
            The database failed.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(item, loop.create_future())
        self._queue.append(waiting)
        if self._writer is None:
            self._writer = loop.create_task(self._write_groups())
        timer = loop.call_later(self._wait_s, self._give_up, waiting)
        try:
            answer: Answer = await waiting.answer
            return answer
        finally:
            timer.cancel()

    def _give_up(self, waiting: _Waiting[Item, Answer]) -> None:
        if not waiting.is_taken:
            waiting.resolve(Overloaded(f"no transaction could take the request within {self._wait_s:g} s"))

    async def _write_groups(self) -> None:
        try:
            while group := self._take():
                await self._write_group(group)
        finally:
            self._writer = None

    def _take(self) -> list[_Waiting[Item, Answer]]:
        """Take a group from the queue, in order of arrival; an item whose identity is in it already waits."""
        group, identities, later = list[_Waiting[Item, Answer]](), set[Hashable](), list[_Waiting[Item, Answer]]()
        while self._queue and len(group) < MOST_ITEMS:
            waiting = self._queue.popleft()
            identity = self._identity(waiting.item)
            if waiting.answer.done():
                continue
            if identity is not None and identity in identities:
                later.append(waiting)
                continue
            identities.add(identity)
            waiting.is_taken = True
            group.append(waiting)
        self._queue.extendleft(reversed(later))
        return group

    async def _write_group(self, group: Sequence[_Waiting[Item, Answer]]) -> None:
        try:
            answers = await run_in_slot(partial(self._write, [each.item for each in group]))
        except Exception as error:  # noqa: BLE001  # each request answers with it
            self._failed(group, error)
            return
        for waiting, answer in zip(group, answers, strict=True):
            waiting.resolve(answer)

    def _failed(self, group: Sequence[_Waiting[Item, Answer]], error: Exception) -> None:
        """Write each item of a failed group alone if nothing was committed; else answer all with the error."""
        if len(group) == 1 or not _can_be_one_item(error):
            for waiting in group:
                waiting.resolve(error)
            return
        for waiting in group:
            task = asyncio.get_running_loop().create_task(self._write_group([waiting]))
            self._alone.add(task)
            task.add_done_callback(self._alone.discard)


def _can_be_one_item(error: Exception) -> bool:
    """Return whether one item can have caused an error, and nothing was committed.

    After a lost connection the outcome of the commit is unknown: to write again could write twice.
    """
    if isinstance(error, DataError | IntegrityError) or is_lock_timeout(error) or is_conflict(error):
        return True
    return not isinstance(error, SQLAlchemyError | Unavailable)
