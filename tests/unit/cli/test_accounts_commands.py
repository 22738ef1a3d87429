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
    """The requests that exit-api gets: method, path, body."""
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
