"""API routes: reject undeclared query parameters, retry conflicting transactions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from inspect import iscoroutinefunction
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.datastructures import QueryParams
from starlette.types import Receive, Scope, Send

from shared.errors import InvalidInput
from shared.http.auth import bearer
from shared.http.conflicts import repeating_conflicts
from shared.http.declared_errors import GUARDED, declared
from shared.http.plain_requests import PlainArguments, Received
from shared.http.problems import MAX_ERRORS, shown
from shared.http.slots import CURRENT, in_slot


class ApiRoute(APIRoute):
    """A route with an endpoint of at most one unit of work."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        # A coroutine does no blocking work, so no transaction.
        whole = endpoint if iscoroutinefunction(endpoint) else in_slot(repeating_conflicts(endpoint))
        super().__init__(path, whole, **options)
        self._plain = PlainArguments.of(endpoint, self.dependant)
        if _asks_for_token(self.dependant):
            self.responses = {**declared(*GUARDED), **self.responses}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a plain request without the framework, and any other one with it."""
        if self._plain is None or scope["method"] not in (self.methods or ()):
            await super().handle(scope, receive, send)
            return
        received, request = Received(receive), Request(scope)
        CURRENT.set(request.app.state.slots)
        body = await received.body()
        arguments = None if body is None else await self._plain.taken(request, body)
        if arguments is None:
            await super().handle(scope, received.again, send)
            return
        response: Response = await self.endpoint(**arguments)
        await response(scope, receive, send)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return a handler answering 422 to undeclared query parameters."""
        handle = super().get_route_handler()
        known = frozenset(_query_parameters(self.dependant))

        async def checked(request: Request) -> Response:
            refuse_undeclared(request.query_params, known)
            CURRENT.set(request.app.state.slots)
            return await handle(request)

        return checked


def api_router(**options: Any) -> APIRouter:
    """Return a router of `ApiRoute`."""
    return APIRouter(route_class=ApiRoute, **options)


def refuse_undeclared(sent: QueryParams, known: frozenset[str]) -> None:
    """Reject unknown and repeated query parameters.

    Raises
    ------
    InvalidInput
        `errors` names each such parameter.
    """
    wrong = {
        name: _objection(name, times, known)
        for name, times in Counter(name for name, _ in sent.multi_items()).items()
        if name not in known or times > 1
    }
    if wrong:
        found = [{"field": f"query.{shown(name)}", "message": message} for name, message in wrong.items()]
        raise InvalidInput("the request is not valid", errors=found[:MAX_ERRORS])


def _objection(name: str, times: int, known: frozenset[str]) -> str:
    if name in known:
        return f"given {times} times"
    return f"unknown query parameter; known: {', '.join(sorted(known)) or 'none'}"


def _asks_for_token(dependant: Dependant) -> bool:
    return any(it.call is bearer or _asks_for_token(it) for it in dependant.dependencies)


def _query_parameters(dependant: Dependant) -> Iterator[str]:
    for parameter in dependant.query_params:
        yield parameter.alias
    for dependency in dependant.dependencies:
        yield from _query_parameters(dependency)
