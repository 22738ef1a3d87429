"""`exitflow accounts` sets limits and releases accounts as exit-api expects it."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest

from services.cli.commands import accounts
from services.cli.support.api_client import ApiClient
from tests.unit.cli.results import Result

Exitflow = Callable[..., Result]
Asked = list[tuple[str, str, object]]
PAPER = {"user_broker_id": "paper", "loss_limit": "25000.00", "entries_held_reason": "lost 25100.00"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """The requests to exit-api: method, path, body."""
    found: Asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        found.append((request.method, request.url.path, json.loads(request.content or b"null")))
        return httpx.Response(200, json={"items": [PAPER]} if request.url.path == "/brokers" else PAPER)

    def api(_: object) -> ApiClient:
        return ApiClient("http://api", "token", httpx.MockTransport(answer))

    monkeypatch.setattr(accounts, "exit_api", api)
    return found


@pytest.mark.parametrize(
    ("given", "limit", "basis"),
    [
        (["25000"], "25000", "START_OF_DAY"),
        (["1e4", "--basis", "peak"], "10000", "PEAK"),
        (["none"], None, "START_OF_DAY"),
    ],
)
def test_a_limit_is_set_or_removed(
    exitflow: Exitflow, asked: Asked, given: list[str], limit: str | None, basis: str
) -> None:
    assert exitflow("accounts", "limit", "paper", *given, "--reason", "policy").status == 0
    assert asked == [("PUT", "/brokers/paper/loss-limit", {"loss_limit": limit, "basis": basis, "reason": "policy"})]


def test_what_is_no_amount_is_not_sent(exitflow: Exitflow, asked: Asked) -> None:
    assert exitflow("accounts", "limit", "paper", "much", "--reason", "policy").status == 2
    assert asked == []


def test_a_held_account_is_listed_shown_and_released(exitflow: Exitflow, asked: Asked) -> None:
    assert "lost 25100.00" in exitflow("accounts", "list").out
    assert "25000.00" in exitflow("accounts", "show", "paper").out
    assert exitflow("accounts", "release", "paper", "--reason", "raised").status == 0
    assert asked[-1] == ("POST", "/brokers/paper/release", {"reason": "raised"})


LIVE = {"user_broker_id": "live", "broker": "kite", "account": "AB1", "root_url": "https://a", "status": "CONNECTED"}


@pytest.mark.parametrize(
    ("known", "given", "expected"),
    [
        (404, ["--root-url", "https://b", "--broker-account", "AB2"], {"root_url": "https://b", "account": "AB2"}),
        (200, ["--disconnected"], {"root_url": "https://a", "account": "AB1", "status": "DISCONNECTED"}),
        (200, ["--root-url", "https://b", "--orders-not-sent"], {"root_url": "https://b", "orders_not_sent": True}),
    ],
)
def test_an_account_is_added_or_changed_in_what_is_given(
    exitflow: Exitflow, monkeypatch: pytest.MonkeyPatch, known: int, given: list[str], expected: dict[str, object]
) -> None:
    sent: list[dict[str, object]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(known, json=LIVE if known == 200 else {"detail": "unknown", "code": "not_found"})
        sent.append(json.loads(request.content))
        return httpx.Response(200, json=LIVE | sent[0])

    monkeypatch.setattr(accounts, "exit_api", lambda _: ApiClient("http://api", "t", httpx.MockTransport(answer)))
    assert exitflow("accounts", "connect", "live", *given, "--reason", "moved", "--json").status == 0
    before = {"broker": "kite", "account": "AB1", "status": "CONNECTED", "reason": "moved", "orders_not_sent": False}
    assert sent == [before | expected]


def test_a_new_account_needs_where_it_is(exitflow: Exitflow, monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = httpx.MockTransport(lambda _: httpx.Response(404, json={"detail": "unknown", "code": "not_found"}))
    monkeypatch.setattr(accounts, "exit_api", lambda _: ApiClient("http://api", "t", unknown))
    ended = exitflow("accounts", "connect", "live", "--root-url", "https://b", "--reason", "new")
    assert (ended.status, "--broker-account" in ended.err) == (2, True)
