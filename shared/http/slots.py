"""Slots of requests: as many use the database at a time as there are connections; others wait without a thread."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from functools import partial, wraps
from typing import Any, TypeVar

from anyio import CapacityLimiter, fail_after, to_thread
from anyio.lowlevel import RunVar
from sqlalchemy import Engine
from sqlalchemy.pool import QueuePool

from shared.errors import Unavailable

T = TypeVar("T")


class Overloaded(Unavailable):
    """Every connection to the database served other requests for the whole wait; nothing was done."""

    code = "overloaded"
    retry_after_s = 1


class RequestSlots:
    """Worker threads for blocking calls of requests, in order of arrival.

    Parameters
    ----------
    count:
        Calls at a time.
    wait_s:
        A call waits so long for its slot.
    """

    def __init__(self, count: int, wait_s: float) -> None:
        self._count = count
        self._wait_s = wait_s
        # A limiter belongs to one event loop.
        self._limiters: RunVar[tuple[CapacityLimiter, CapacityLimiter]] = RunVar("request slots")

    @classmethod
    def of(cls, engine: Engine) -> RequestSlots:
        """Return as many slots as `engine` keeps connections; a request waits as long as it would for a connection."""
        pool = engine.pool
        assert isinstance(pool, QueuePool)
        return cls(pool.size(), pool.timeout())

    async def run(self, call: Callable[[], T]) -> T:
        """Return the result of `call`, run in a thread.

        Raises
        ------
        Overloaded
            No slot was free in time; nothing was called.
        """
        slots, threads = self._of_this_loop()
        borrower = object()
        try:
            with fail_after(self._wait_s):
                await slots.acquire_on_behalf_of(borrower)
        except TimeoutError:
            raise Overloaded(f"no database connection was free within {self._wait_s:g} s") from None
        try:
            return await to_thread.run_sync(call, limiter=threads)
        finally:
            slots.release_on_behalf_of(borrower)

    def _of_this_loop(self) -> tuple[CapacityLimiter, CapacityLimiter]:
        limiters = self._limiters.get(None)
        if limiters is None:
            limiters = CapacityLimiter(self._count), CapacityLimiter(self._count)
            self._limiters.set(limiters)
        return limiters


CURRENT: ContextVar[RequestSlots | None] = ContextVar("current request slots", default=None)
"""Slots of the app serving the current request; None: any thread."""


async def run_in_slot(call: Callable[[], T]) -> T:
    """Return the result of a blocking call of the current request, run in a thread.

    Raises
    ------
    Overloaded
        See `RequestSlots.run`.
    """
    slots = CURRENT.get()
    return await (to_thread.run_sync(call) if slots is None else slots.run(call))


def in_slot(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Return a blocking endpoint as a coroutine; it waits for its slot."""

    @wraps(endpoint)
    async def waiting(*arguments: Any, **named: Any) -> Any:
        return await run_in_slot(partial(endpoint, *arguments, **named))

    return waiting
