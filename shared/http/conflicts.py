"""Repeat transactions ended by PostgreSQL because of concurrent ones, before the client is affected."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from shared.errors import Unavailable
from shared.postgres.group_commit import is_rolled_back

ATTEMPTS = 5
FIRST_WAIT_S = 0.02
LONGEST_WAIT_S = 0.5


class ConcurrentRequest(Unavailable):
    """A concurrent transaction committed the same request first; the next attempt finds its answer."""

    code = "concurrent_request"


def is_conflict(error: BaseException) -> bool:
    """Return True if the transaction failed only because of a concurrent one; nothing of it was kept."""
    return isinstance(error, ConcurrentRequest) or is_rolled_back(error)


def repeating_conflicts(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Return `endpoint` wrapped to retry up to `ATTEMPTS` times after conflicting transactions.

    Each call must be a whole unit of work.
    """

    @wraps(endpoint)
    def repeated(*arguments: Any, **named: Any) -> Any:
        attempts = Retrying(
            retry=retry_if_exception(is_conflict),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_random_exponential(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S),
            reraise=True,
        )
        return attempts(endpoint, *arguments, **named)

    return repeated
