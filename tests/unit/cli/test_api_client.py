"""HTTP as the commands speak it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import unquote

import httpx
import pytest

from services.cli.support.api_client import ApiClient, Refused, path_of
from shared.errors import InvalidInput, Unavailable

ROOT = Path(__file__).parents[3]


class Api:
    """Given answers, and a list of the requests."""

    def __init__(self, *responses: httpx.Response) -> None:
        self.requests: list[httpx.Request] = []
        self._responses = list(responses)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self._responses.pop(0)


def client(api: Api) -> ApiClient:
    """A client of `api`."""
    return ApiClient("http://exit", "secret", httpx.MockTransport(api))


def test_every_post_has_own_key_unless_told_otherwise() -> None:
    api = Api(*(httpx.Response(201, json={}) for _ in range(3)))
    with client(api) as it:
        it.post("/trades", {})
        it.post("/trades", {})
        it.post("/trades", {}, "mine")
    keys = [request.headers["Idempotency-Key"] for request in api.requests]
    assert keys[0] != keys[1]
    assert keys[2] == "mine"


def test_the_token_goes_with_every_request() -> None:
    api = Api(httpx.Response(200, json={}))
    client(api).get("/trades", status=None)
    assert api.requests[0].headers["Authorization"] == "Bearer secret"
    assert str(api.requests[0].url) == "http://exit/trades"


def test_a_problem_becomes_one_line_with_its_detail_and_code() -> None:
    problem = {
        "detail": "the request is not valid",
        "code": "invalid_input",
        "errors": [{"field": "q", "message": "m"}],
    }
    api = Api(httpx.Response(422, json=problem))
    with pytest.raises(Refused) as caught:
        client(api).get("/trades")
    assert str(caught.value) == "the request is not valid: q: m (422 invalid_input); `--help` lists the options"


@pytest.mark.parametrize(("status", "step"), [(401, "exitflow tokens create"), (403, "exitflow tokens show")])
def test_a_refused_token_says_what_to_do(status: int, step: str) -> None:
    with pytest.raises(Refused, match=step):
        client(Api(httpx.Response(status, json={"detail": "no", "code": "unauthenticated"}))).get("/trades")


def test_error_without_problem_document_is_still_one_line() -> None:
    with pytest.raises(Refused, match="502"):
        client(Api(httpx.Response(502, text="<html>"))).get("/trades")


def test_an_answer_that_is_not_json_is_named() -> None:
    with pytest.raises(Unavailable, match="JSON"):
        client(Api(httpx.Response(200, text="<html>"))).get("/trades")


def test_a_server_that_is_not_there_is_named() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused", request=request)

    with pytest.raises(Unavailable, match="http://exit does not answer"):
        ApiClient("http://exit", None, httpx.MockTransport(refuse)).get("/trades")


def test_an_unanswered_change_is_not_called_undone() -> None:
    def stay_silent(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("timed out", request=request)

    with ApiClient("http://exit", None, httpx.MockTransport(stay_silent)) as it:
        with pytest.raises(Unavailable, match="not known: look with `exitflow exits list` before you repeat it"):
            it.post("/exits", {})
        with pytest.raises(Unavailable, match=r"timed out$"):
            it.get("/exits")


def test_an_api_that_is_not_ready_may_be_asked_again() -> None:
    problem = {"detail": "the database does not answer", "code": "unavailable"}
    with pytest.raises(Unavailable, match="the database does not answer"):
        client(Api(httpx.Response(503, json=problem))).get("/trades")


def test_list_is_read_page_by_page_up_to_limit() -> None:
    pages = [{"items": [{"n": 1}, {"n": 2}], "next": "c"}, {"items": [{"n": 3}, {"n": 4}], "next": "d"}]
    api = Api(*(httpx.Response(200, content=json.dumps(page)) for page in pages))
    assert [item["n"] for item in client(api).items("/exits", 3, symbol="NSE:INFY")] == [1, 2, 3]
    assert api.requests[1].url.params["cursor"] == "c"
    assert api.requests[1].url.params["limit"] == "1"


def test_a_list_without_limit_ends_with_its_last_page() -> None:
    api = Api(httpx.Response(200, json={"items": [{"n": 1}], "next": None}))
    assert list(client(api).items("/exits")) == [{"n": 1}]


@pytest.mark.parametrize("name", ["", ".", "..", "..."])
def test_a_missing_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="missing in /exits/why"):
        path_of("/exits/why/{}", name)


@pytest.mark.parametrize("name", ["../pending", "a/b", "a?b=c", "a#b", "a b", "%2e%2e", "\u00e9"])
def test_a_name_stays_one_part_of_the_path(name: str) -> None:
    url = httpx.URL("http://127.0.0.1").join(path_of("/exits/{}/withdraw", name))
    assert url.raw_path.count(b"/") == 3
    assert unquote(url.raw_path.split(b"/")[2].decode()) == name
    assert (url.query, url.fragment) == (b"", "")


def test_paths_with_names_are_made_in_one_place() -> None:
    made = re.compile(r"""api\.\w+\(f["']/[^"'?]*\{""")
    assert not [file for file in (ROOT / "services/cli").rglob("*.py") if made.search(file.read_text())]
