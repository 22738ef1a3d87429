"""Authorization of metric scrapes, without waiting for the database of the tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated

import anyio
from anyio import to_thread
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials
from sqlalchemy.exc import SQLAlchemyError

from shared.clock import SystemClock
from shared.errors import Forbidden, Unauthenticated, Unavailable
from shared.http.auth import Scope, authenticate, bearer, token_hash

ANSWER_S = 0.3
FIRST_ANSWER_S = 3.0
"""Longer wait for a token's first answer: nothing is remembered of it yet."""
THREADS = 2
REMEMBERED_S = 3600.0
REMEMBERED = 100


Sent = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


class Scrapers:
    """Tokens confirmed by the database; they stay valid for an hour while it does not answer."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._passed_at: dict[bytes, float] = {}
        self._threads: anyio.CapacityLimiter | None = None

    def dependency(self) -> Callable[..., Awaitable[None]]:
        """Return the dependency requiring scope read; it never waits for long.

        Raises
        ------
        Unauthenticated, Forbidden
            As any other route does.
        Unavailable
            The database does not answer, and the token has not passed within the last hour.
        """

        async def admit(request: Request, sent: Sent) -> None:
            known = token_hash(sent.credentials) if sent else b""
            try:
                async with asyncio.timeout(ANSWER_S if known in self._passed_at else FIRST_ANSWER_S):
                    check = partial(authenticate, request, sent, Scope.READ)
                    await to_thread.run_sync(check, abandon_on_cancel=True, limiter=self._limiter())
            except (TimeoutError, SQLAlchemyError):
                self._admit_remembered(known)
            except (Unauthenticated, Forbidden):
                self._passed_at.pop(known, None)
                raise
            else:
                self._remember(known)

        return admit

    def _limiter(self) -> anyio.CapacityLimiter:
        # Separate threads: the request threads may all wait for the database.
        if self._threads is None:
            self._threads = anyio.CapacityLimiter(THREADS)
        return self._threads

    def _admit_remembered(self, known: bytes) -> None:
        passed_at = self._passed_at.get(known)
        if passed_at is None or self._clock.monotonic() - passed_at > REMEMBERED_S:
            raise Unavailable("the database of the tokens does not answer")

    def _remember(self, known: bytes) -> None:
        self._passed_at.pop(known, None)
        self._passed_at[known] = self._clock.monotonic()
        while len(self._passed_at) > REMEMBERED:
            del self._passed_at[next(iter(self._passed_at))]
