"""Group commit: requests arriving during a commit share the next transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from shared.errors import ExitflowError
from shared.http.conflicts import is_conflict, repeating_conflicts
from shared.http.slots import Overloaded, run_in_slot
from shared.postgres.group_commit import GroupQueue, can_be_one_item

QUIET_S = 0.002
"""After a group the writer waits until nothing came for so long. Clients just answered ask again within a moment, and
a larger group costs every later process less per item."""
GATHER_S = 0.01
"""It waits no longer than this."""

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(eq=False)
class _Waiting(Generic[Item, Answer]):
    item: Item
    identity: Hashable
    answer: asyncio.Future[Answer]
    is_taken: bool = False
    size: int = 1

    @property
    def is_wanted(self) -> bool:
        """Return False if its client has gone, or it has waited too long."""
        return not self.answer.done()

    def resolve(self, answer: Answer | Exception) -> None:
        if not self.is_wanted:
            return
        if isinstance(answer, Exception):
            self.answer.set_exception(answer)
        else:
            self.answer.set_result(answer)


class WriteGroups(Generic[Item, Answer]):
    """Writes items of concurrent requests in groups, one group after the other, each in one transaction.

    An item without others is written at once. If an item makes its group fail, each item is written alone, and only
    that item fails. Belongs to one event loop.

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
        self._queue: GroupQueue[_Waiting[Item, Answer]] = GroupQueue()
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
        waiting = _Waiting(item, self._identity(item), loop.create_future())
        self._queue.put(waiting)
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
            while group := self._queue.take():
                for waiting in group:
                    waiting.is_taken = True
                await self._write_group(group)
                await self._gather(len(group))
        finally:
            self._writer = None

    async def _gather(self, answered: int) -> None:
        """Let those who were just answered, and may ask again, join the next group; one who is alone does not wait."""
        loop = asyncio.get_running_loop()
        end, enough = loop.time() + GATHER_S, len(self._queue) + answered
        had = -1
        while enough > 1 and had < len(self._queue) < enough and loop.time() < end:
            had = len(self._queue)
            await asyncio.sleep(QUIET_S)

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
        if len(group) == 1 or not (can_be_one_item(error) or is_conflict(error)):
            for waiting in group:
                waiting.resolve(error)
            return
        for waiting in group:
            task = asyncio.get_running_loop().create_task(self._write_group([waiting]))
            self._alone.add(task)
            task.add_done_callback(self._alone.discard)
