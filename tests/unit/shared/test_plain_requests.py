"""Plain requests are answered without the framework, and all answers equal the framework's."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Body, Depends, FastAPI, Form, Header, Request, Response
from pydantic import BaseModel, ConfigDict
from sqlalchemy import create_engine

from shared.clock import SystemClock
from shared.contracts.topics import TopicNames
from shared.http import problems
from shared.http.auth import Caller, KnownTokens, Scope, Trader, token_hash
from shared.http.bounds import MAX_BODY_BYTES, RequestBounds
from shared.http.context import ApiContext, context_of
from shared.http.plain_requests import PlainArguments
from shared.http.rate_limits import RateLimiter
from shared.http.routing import ApiRoute, api_router
from shared.outbox.writing import Outbox
from tests.support.signing import SIGNER

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
PLAIN = {"authorization": "Bearer known", "content-type": "application/json"}
BODY = {"name": "a", "count": 1}


class Wanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    count: int = 0


Context = Annotated[ApiContext, Depends(context_of)]
Key = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=5)]


def app(*, plain: bool) -> FastAPI:
    """One route; without `plain` the framework answers every request."""
    router = api_router()

    @router.post("/things", status_code=201, response_model=Wanted)
    async def make(body: Wanted, context: Context, caller: Trader, key: Key = None) -> Response:
        told = {"body": body.model_dump(), "caller": caller.name, "key": key, "trace": context.traceparent}
        return Response(json.dumps(told), status_code=201, media_type="application/json")

    made = FastAPI()
    problems.install(made)
    made.add_middleware(RequestBounds)
    clock, engine = SystemClock(), create_engine("postgresql+psycopg://nobody@localhost/none")
    made.state.context = ApiContext(engine=engine, outbox=Outbox(TopicNames(""), clock, SIGNER), clock=clock)
    made.state.slots, made.state.engine, made.state.rate_limiter = None, engine, RateLimiter(0, clock)
    made.state.known_tokens = KnownTokens(clock)
    for name in ("known", "other"):
        scopes = frozenset({Scope.TRADE} if name == "known" else {Scope.READ})
        made.state.known_tokens.keep(token_hash(name), Caller(name, scopes))
    [route] = router.routes
    assert isinstance(route, ApiRoute) and isinstance(route._plain, PlainArguments)
    if not plain:
        route._plain = None
    made.include_router(router)
    return made


def answer(made: FastAPI, content: bytes, headers: Any, path: str = "/things") -> httpx.Response:
    async def post() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(made), base_url="http://test") as client:
            return await client.post(path, content=content, headers=headers)

    return asyncio.run(post())


PLAIN_ONES: list[tuple[bytes, dict[str, str]]] = [
    (json.dumps(BODY).encode(), PLAIN),
    (b' {"name": "\xc3\xa9"} ', PLAIN),
    (json.dumps(BODY).encode(), PLAIN | {"Idempotency-Key": "k"}),
    (json.dumps(BODY).encode(), PLAIN | {"traceparent": TRACE}),
]
OTHERS: list[tuple[bytes, Any]] = [
    (b"", PLAIN),
    (b"null", PLAIN),
    (b"{", PLAIN),
    (b"[1]", PLAIN),
    (b"[" * 100_000, PLAIN),
    (b"\xff", PLAIN),
    (b'{"name": "a", "count": "x"}', PLAIN),
    (b'{"name": "a", "more": 1}', PLAIN),
    (json.dumps(BODY).encode(), {"authorization": "Bearer known"}),
    (json.dumps(BODY).encode(), PLAIN | {"content-type": "application/json; charset=utf-8"}),
    (json.dumps(BODY).encode(), PLAIN | {"content-type": "text/plain"}),
    (json.dumps(BODY).encode(), PLAIN | {"Idempotency-Key": "too long"}),
    (json.dumps(BODY).encode(), PLAIN | {"Idempotency-Key": ""}),
    (json.dumps(BODY).encode(), [*PLAIN.items(), ("Idempotency-Key", "a"), ("Idempotency-Key", "b")]),
    (json.dumps(BODY).encode(), PLAIN | {"authorization": "bearer known"}),
    (json.dumps(BODY).encode(), PLAIN | {"authorization": "Basic known"}),
    (json.dumps(BODY).encode(), PLAIN | {"authorization": "Bearer other"}),
    (json.dumps(BODY).encode(), {"content-type": "application/json"}),
    (b" " * (MAX_BODY_BYTES + 1), PLAIN),
]


@pytest.mark.parametrize(("content", "headers"), PLAIN_ONES + OTHERS)
def test_answers_are_those_of_the_framework(content: bytes, headers: Any) -> None:
    own, framework = (answer(app(plain=plain), content, headers) for plain in (True, False))
    assert (own.status_code, own.content) == (framework.status_code, framework.content)
    assert own.headers.multi_items() == framework.headers.multi_items()


def test_a_query_is_left_to_the_framework() -> None:
    own, framework = (
        answer(app(plain=plain), json.dumps(BODY).encode(), PLAIN, "/things?more=1") for plain in (True, False)
    )
    assert own.status_code == 422
    assert (own.status_code, own.content) == (framework.status_code, framework.content)


@pytest.mark.parametrize(("content", "headers"), PLAIN_ONES)
def test_a_plain_request_does_not_reach_the_framework(
    content: bytes, headers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise AssertionError("the framework was asked")

    made = app(plain=True)
    monkeypatch.setattr("fastapi.routing.APIRoute.handle", fail)
    assert answer(made, content, headers).status_code == 201


def test_a_request_is_charged_once_whoever_answers_it() -> None:
    made = app(plain=True)
    made.state.rate_limiter = RateLimiter(1, SystemClock())
    codes = [answer(made, json.dumps(BODY).encode(), PLAIN).status_code for _ in range(5)]
    codes += [answer(made, b"{}", PLAIN).status_code for _ in range(5)]
    assert codes == [201] * 5 + [422] * 5
    assert answer(made, json.dumps(BODY).encode(), PLAIN).status_code == 429


async def of_form(name: Annotated[str, Form()]) -> Response:
    return Response(name)


async def of_part(name: Annotated[str, Body(embed=True)]) -> Response:
    return Response(name)


async def of_path(thing: str, body: Wanted) -> Response:
    return Response(thing + body.name)


async def of_raw_request(request: Request, body: Wanted) -> Response:
    return Response(str(request.url) + body.name)


async def shown(body: Wanted) -> Wanted:
    return body


@pytest.mark.parametrize("endpoint", [of_form, of_part, of_path, of_raw_request, shown])
def test_endpoint_with_other_needs_is_left_to_framework(endpoint: Any) -> None:
    route = ApiRoute("/things/{thing}", endpoint, methods=["POST"], response_model=None)
    assert route._plain is None
