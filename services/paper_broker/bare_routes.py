"""Routes of Starlette itself, for calls made for every exit or every few seconds.

FastAPI's routes resolve their dependencies for each request, and call a plain function in another thread: both take
longer than looking up an order.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request, Response

Endpoint = Callable[[Request], Awaitable[Response]]


def bare_route(router: APIRouter, method: str, path: str) -> Callable[[Endpoint], Endpoint]:
    """Add the decorated function to the router as it is."""

    def add(endpoint: Endpoint) -> Endpoint:
        router.add_route(path, endpoint, methods=[method])
        return endpoint

    return add
