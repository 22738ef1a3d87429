"""`exitflow audit` and `tokens show` over both APIs."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import ModuleType

import httpx
import pytest

from services.cli.commands import audit, tokens
from services.cli.support.api_client import ApiClient
from tests.unit.cli.results import Result

Exitflow = Callable[..., Result]
EXIT, TRADE = "http://exit", "http://trade"
NOBODY = {"before": None, "after": None, "subject": "s", "reason": "r"}
LOGS = {
    "exit": [(9, "chief", "kill_switch.put"), (4, "desk", "rollout.put")],
    "trade": [(7, "chief", "charges.finalise"), (2, "desk", "x")],
}


def _answer(request: httpx.Request) -> httpx.Response:
    service = request.url.host
    if request.url.path == "/whoami":
        return httpx.Response(200, json={"name": f"{service}-token", "scopes": ["read"]})
    start = int(request.url.params.get("cursor", "0"))
    asked, day = request.url.params.get("actor"), request.url.params.get("day", "2026-01-13")
    logged = [(at, by, act) for at, by, act in LOGS[service] if asked in (None, by) and day == "2026-01-13"]
    entries = [{"actor": by, "action": act, "at": f"2026-01-13T03:45:0{at}Z", **NOBODY} for at, by, act in logged]
    following = str(start + 1) if start + 1 < len(entries) else None
    return httpx.Response(200, json={"items": entries[start : start + 1], "next": following})


@pytest.fixture(autouse=True)
def apis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both APIs, with one entry a page."""
    monkeypatch.setenv("EXITFLOW_EXIT_API_URL", EXIT)
    monkeypatch.setenv("EXITFLOW_TRADE_API_URL", TRADE)

    def client(root: str, token: str | None) -> ApiClient:
        return ApiClient(root, token, httpx.MockTransport(_answer))

    def use(module: ModuleType) -> None:
        monkeypatch.setattr(module, "ApiClient", client)

    use(audit)
    use(tokens)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), ["kill_switch.put", "charges.finalise", "rollout.put", "x"]),
        (("--limit", "2"), ["kill_switch.put", "charges.finalise"]),
        (("--service", "trade"), ["charges.finalise", "x"]),
        (("--actor", "desk"), ["rollout.put", "x"]),
        (("--actor", "desk", "--day", "2026-01-13"), ["rollout.put", "x"]),
        (("--day", "yesterday"), []),
    ],
)
def test_the_logs_of_both_apis_are_one_newest_first(
    exitflow: Exitflow, options: tuple[str, ...], expected: list[str]
) -> None:
    found = json.loads(exitflow("audit", *options, "--json").out)
    assert [each["action"] for each in found] == expected
    assert "chief" in exitflow("audit").out


def test_each_api_says_whose_token_it_is(exitflow: Exitflow) -> None:
    known = json.loads(exitflow("tokens", "show", "--json").out)
    assert {api: each["name"] for api, each in known.items()} == {"exit-api": "exit-token", "trade-api": "trade-token"}
    assert "exit-token" in exitflow("tokens", "show").out


def test_what_is_no_day_is_wrong_usage(exitflow: Exitflow) -> None:
    wrong = exitflow("audit", "--day", "soon")
    assert (wrong.status, "today, yesterday" in wrong.err) == (2, True)
