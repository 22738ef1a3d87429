"""A unit of work that refuses to begin within another one."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from shared.outbox.unit_of_work import UnitOfWork

_open = threading.local()


class LoneUnit(UnitOfWork):
    """The first would keep its locks and its connection while the second waits for a connection of the pool.

    Once every connection is held by a first one, all wait for ever.
    """

    def __enter__(self) -> Self:
        assert not getattr(_open, "unit", False), "a unit of work begins within another one of the same thread"
        _open.unit = True
        try:
            return super().__enter__()
        except BaseException:
            _open.unit = False
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _open.unit = False
        super().__exit__(kind, error, trace)
