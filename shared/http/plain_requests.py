"""Arguments of plain requests, taken without the framework.

FastAPI resolves the dependencies of the endpoint for every request: two thirds of the time of a small request. Here
they are known from the start. All other requests are left to the framework, so it alone refuses requests.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from inspect import iscoroutinefunction, signature
from typing import Any, Self, get_type_hints

from fastapi import Request, Response, params
from fastapi._compat import ModelField
from fastapi.dependencies.models import Dependant
from starlette.types import Message, Receive

from shared.http.auth import TokenCheck

JSON = b"application/json"


@dataclass(frozen=True, slots=True)
class PlainArguments:
    """Where the arguments of an endpoint come from: a JSON body, headers, the request and its caller.

    Attributes
    ----------
    body, headers:
        Fields of the body and of headers.
    of_request:
        Coroutines of the request alone, by the name of their argument.
    callers:
        Checks of the token, by the name of their argument.
    """

    body: ModelField
    headers: Sequence[ModelField]
    of_request: Sequence[tuple[str, Callable[[Request], Awaitable[Any]]]]
    callers: Sequence[tuple[str, TokenCheck]]

    @classmethod
    def of(cls, endpoint: Callable[..., Any], dependant: Dependant) -> Self | None:
        """Return those of a coroutine with its own response; None if it needs anything else."""
        if not iscoroutinefunction(endpoint) or get_type_hints(endpoint).get("return") is not Response:
            return None
        if len(dependant.body_params) != 1 or not _is_whole_json(dependant.body_params[0]) or _needs_more(dependant):
            return None
        of_request, callers = list[tuple[str, Callable[..., Awaitable[Any]]]](), list[tuple[str, TokenCheck]]()
        for each in dependant.dependencies:
            if isinstance(each.call, TokenCheck):
                callers.append((str(each.name), each.call))
            elif each.call is not None and _takes_request_alone(each):
                of_request.append((str(each.name), each.call))
            else:
                return None
        return cls(dependant.body_params[0], dependant.header_params, of_request, callers)

    async def taken(self, request: Request, body: bytes) -> dict[str, Any] | None:
        """Return the arguments; None if the request is not plain, or its token has to be looked up.

        Raises
        ------
        Forbidden, TooManyRequests
            See `shared.http.auth.requires`.
        """
        sent: dict[bytes, bytes] = dict(request.scope["headers"])
        is_unambiguous = len(sent) == len(request.scope["headers"])
        if not is_unambiguous or request.scope["query_string"] or sent.get(b"content-type") != JSON:
            return None
        values = _decoded(self.body, body)
        for field in self.headers:
            if values is not None:
                values = _with_header(values, field, sent)
        return None if values is None else await self._with_dependencies(values, request, sent)

    async def _with_dependencies(
        self, values: dict[str, Any], request: Request, sent: dict[bytes, bytes]
    ) -> dict[str, Any] | None:
        """Add the values of the request. The token comes last: it is charged for the request."""
        for name, call in self.of_request:
            values[name] = await call(request)
        for name, check in self.callers:
            caller = check.known_caller(request, sent.get(b"authorization", b""))
            if caller is None:
                return None
            values[name] = caller
        return values


class Received:
    """The messages of a request's body, to be read again by the framework."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._messages: list[Message] = []

    async def body(self) -> bytes | None:
        """Return the whole body; None if the client has gone."""
        while True:
            message = await self._receive()
            self._messages.append(message)
            if message["type"] != "http.request":
                return None
            if not message.get("more_body", False):
                return b"".join([each.get("body", b"") for each in self._messages])

    async def again(self) -> Message:
        """Return the next message, from the first one on."""
        return self._messages.pop(0) if self._messages else await self._receive()


def _is_whole_json(field: ModelField) -> bool:
    """Return whether the body as a whole is the argument, and no form."""
    return type(field.field_info) is params.Body and not field.field_info.embed


def _needs_more(dependant: Dependant) -> bool:
    return bool(
        dependant.path_params
        or dependant.query_params
        or dependant.cookie_params
        or dependant.request_param_name
        or dependant.response_param_name
        or dependant.background_tasks_param_name
        or dependant.http_connection_param_name
    )


def _takes_request_alone(dependant: Dependant) -> bool:
    if not iscoroutinefunction(dependant.call) or dependant.request_param_name is None:
        return False
    return len(signature(dependant.call).parameters) == 1


def _decoded(field: ModelField, body: bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return None
    value, errors = field.validate(content, {}, loc=("body",))
    return None if errors or content is None else {field.name: value}


def _with_header(values: dict[str, Any], field: ModelField, sent: dict[bytes, bytes]) -> dict[str, Any] | None:
    text = sent.get(field.alias.lower().encode())
    if text is None:
        return None if field.field_info.is_required() else {**values, field.name: field.get_default()}
    value, errors = field.validate(text.decode("latin-1"), {}, loc=("header", field.alias))
    return None if errors else {**values, field.name: value}
