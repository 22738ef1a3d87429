"""Group commit: writes waiting during a commit share the next transaction.

`GroupQueue` forms the groups. `ThreadGroups` runs them for threads; `shared.http.write_groups` for requests.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, Protocol, TypeVar

from psycopg.errors import DeadlockDetected, SerializationFailure
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

from shared.errors import Unavailable
from shared.postgres.row_locks import is_lock_timeout

MOST_ITEMS = 256
"""Items of a group: its transaction stays short, since others wait for its locked rows."""

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Waiting(Protocol):
    """A write waiting for its group.

    Attributes
    ----------
    size:
        Its items.
    identity:
        Two writes of one identity are never in the same group; None: none.
    is_wanted:
        False once its caller has gone: it is left out.
    """

    @property
    def size(self) -> int: ...

    @property
    def identity(self) -> Hashable: ...

    @property
    def is_wanted(self) -> bool: ...


W = TypeVar("W", bound=Waiting)


class GroupQueue(Generic[W]):
    """Waiting writes, in order of arrival. Not thread-safe."""

    def __init__(self) -> None:
        self._queue: deque[W] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, waiting: W) -> None:
        """Add a write."""
        self._queue.append(waiting)

    def take(self) -> list[W]:
        """Take the next group: at least one write, unless none is wanted, and no more than `MOST_ITEMS` items."""
        group, identities, later, room = list[W](), set[Hashable](), list[W](), MOST_ITEMS
        while self._queue and (not group or self._queue[0].size <= room):
            waiting = self._queue.popleft()
            if not waiting.is_wanted:
                continue
            if waiting.identity is not None and waiting.identity in identities:
                later.append(waiting)
                continue
            identities.add(waiting.identity)
            room -= waiting.size
            group.append(waiting)
        self._queue.extendleft(reversed(later))
        return group


def can_be_one_item(error: Exception) -> bool:
    """Return whether one item can have caused an error, and nothing was committed.

    After a lost connection the outcome of the commit is unknown: to write again could write twice.
    """
    if isinstance(error, DataError | IntegrityError) or is_lock_timeout(error) or is_rolled_back(error):
        return True
    return not isinstance(error, SQLAlchemyError | Unavailable)


def is_rolled_back(error: BaseException) -> bool:
    """Return whether PostgreSQL ended a transaction because of a concurrent one; nothing of it was kept."""
    return isinstance(error, DBAPIError) and isinstance(error.orig, SerializationFailure | DeadlockDetected)


class _Batch(Generic[Item, Answer]):
    """Items of one thread; `outcome` is their answers, or the error to raise, once they were in a group."""

    identity: Hashable = None
    is_wanted = True

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items
        self.size = len(items)
        self.outcome: Sequence[Answer] | Exception | None = None
        self.goes_alone = False

    @property
    def is_settled(self) -> bool:
        """Return whether no group will write it any more."""
        return self.outcome is not None or self.goes_alone


class ThreadGroups(Generic[Item, Answer]):
    """Writes items of many threads in groups, one group after the other, each in one transaction.

    There is no thread for it: one of the waiting threads writes for the others. A batch without others is written at
    once. If a batch makes its group fail, each batch is written alone, and only that batch fails.

    Parameters
    ----------
    write:
        Commits a whole group and returns an answer for each item, in order.
    """

    def __init__(self, write: Callable[[Sequence[Item]], Sequence[Answer]]) -> None:
        self._write = write
        self._queue: GroupQueue[_Batch[Item, Answer]] = GroupQueue()
        self._changed = threading.Condition()
        self._is_writing = False

    def answers(self, items: Sequence[Item]) -> Sequence[Answer]:
        """Return the answers of these items once the transaction of all of them is committed.

        Raises
        ------
        Exception
            Raised by `write` for these items.
        """
        batch = _Batch[Item, Answer](items)
        with self._changed:
            self._queue.put(batch)
        while (group := self._next_group(batch)) is not None:
            self._write_group(group)
        if batch.outcome is None:
            return self._write(items)
        if isinstance(batch.outcome, Exception):
            raise batch.outcome
        return batch.outcome

    def _next_group(self, batch: _Batch[Item, Answer]) -> list[_Batch[Item, Answer]] | None:
        """Wait until the batch is settled, or no thread writes; return the group to write, None if it is settled."""
        with self._changed:
            self._changed.wait_for(lambda: batch.is_settled or not self._is_writing)
            if batch.is_settled:
                return None
            self._is_writing = True
            return self._queue.take()

    def _write_group(self, group: Sequence[_Batch[Item, Answer]]) -> None:
        outcome: Sequence[Answer] | Exception = Unavailable("the writing thread of the group has ended")
        try:
            outcome = self._write([item for batch in group for item in batch.items])
        except Exception as error:  # noqa: BLE001  # raised in each waiting thread
            outcome = error
        finally:
            with self._changed:
                _settle(group, outcome)
                self._is_writing = False
                self._changed.notify_all()


def _settle(group: Sequence[_Batch[Item, Answer]], outcome: Sequence[Answer] | Exception) -> None:
    first = 0
    for batch in group:
        if not isinstance(outcome, Exception):
            batch.outcome = outcome[first : first + batch.size]
            first += batch.size
        elif len(group) > 1 and can_be_one_item(outcome):
            batch.goes_alone = True
        else:
            batch.outcome = outcome
