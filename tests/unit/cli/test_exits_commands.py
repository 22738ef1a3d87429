"""`exitflow exits` shows the obstacles to exits, and asks for recorded ones."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest

from services.cli.commands import exits, exits_by_hand, exits_stops
from services.cli.support.api_client import ApiClient
from tests.unit.cli.results import Result

Exitflow = Callable[..., Result]

PASSES = {"gate": "TRADE_OPEN", "verdict": "PASS", "detail": {}}
DEFERS = {"gate": "KILL_SWITCH", "verdict": "DEFER", "detail": {"mode": "ALL"}}
AT = "2026-01-13T05:00:00.123456Z"
ITEMS = [
    {"intent_id": "i1", "created_at": AT, "executable": True, "gates": [PASSES, DEFERS], "error_code": None},
    {
        "intent_id": "i2",
        "created_at": AT,
        "executable": False,
        "gates": [PASSES],
        "error_code": "TOKEN_EXPIRED",
        "error_message": "no token",
    },
]


STOP = {"stop_id": "s1", "status": "WANTED", "error_code": "POSITION_SHORT", "error_message": "too few shares"}


@pytest.fixture
def posted(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The bodies sent to exit-api."""
    found: list[object] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            found.append(json.loads(request.content))
            return httpx.Response(202, json=ITEMS[1])
        return httpx.Response(200, json={"items": ITEMS, "next": None})

    _serve(monkeypatch, answer)
    return found


@pytest.mark.usefixtures("posted")
def test_pending_exits_show_what_they_await_and_whether_executed(exitflow: Exitflow) -> None:
    first, second = (line for line in exitflow("exits", "pending").out.splitlines() if "i1" in line or "i2" in line)
    assert "record only" not in first and "2026-01-13T05:00:00Z" in first
    assert "KILL_SWITCH DEFER" in first
    assert "TRADE_OPEN" not in first
    assert "record only, never sent" in second
    assert "no token" in second


def test_an_exit_can_be_asked_for_to_be_recorded_only(exitflow: Exitflow, posted: list[dict[str, object]]) -> None:
    assert exitflow("exits", "force", "t1", "--record-only").status == 0
    assert exitflow("exits", "force", "t1").status == 0
    assert [body.get("record_only") for body in posted] == [True, None]


def test_many_exits_are_listed_before_they_are_withdrawn(exitflow: Exitflow, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, dict[str, object]]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        asked.append((request.url.path, body))
        sent = {"intent_id": "i2", "skipped": "already_sent"}
        items = [{"intent_id": "i1", "skipped": None}, sent]
        return httpx.Response(200, json={"dry_run": body["dry_run"], "withdrawn": 1, "items": items})

    _serve(monkeypatch, answer)
    listed = exitflow("exits", "withdraw", "--symbol", "NSE:INFY", "--exit-reason", "target", "--dry-run")
    assert "1 of 2 exits would be withdrawn" in listed.out and "already_sent" in listed.out
    assert exitflow("exits", "withdraw", "--symbol", "NSE:INFY").status == 2
    done = exitflow("exits", "withdraw", "--symbol", "NSE:INFY", "--reason", "wrong plan", "--json")
    assert json.loads(done.out)["withdrawn"] == 1
    path, conditions = "/exits/withdraw/bulk", {"symbol": "NSE:INFY"}
    assert asked == [
        (path, {**conditions, "exit_reason": "TARGET", "reason": "dry run", "dry_run": True}),
        (path, {**conditions, "reason": "wrong plan", "dry_run": False}),
    ]


@pytest.mark.usefixtures("posted")
def test_either_one_exit_or_a_filter_is_withdrawn(exitflow: Exitflow) -> None:
    for named in ((), ("i1", "--symbol", "NSE:INFY"), ("i1", "--dry-run")):
        assert exitflow("exits", "withdraw", *named, "--reason", "wrong plan").status == 2


def test_stops_command_lists_unended_protective_stops_by_default(
    exitflow: Exitflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[httpx.QueryParams] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params)
        return httpx.Response(200, json={"items": [STOP], "next": None})

    _serve(monkeypatch, answer)
    shown = exitflow("exits", "stops", "--trade", "t1", "--json")
    assert json.loads(shown.out) == [STOP]
    for more in (["--all"], ["--status", "failed"]):
        assert exitflow("exits", "stops", *more).status == 0
    assert [params["standing"] for params in asked] == ["true", "false", "false"]
    assert (asked[0]["trade_ids"], asked[2]["status"]) == ("t1", "FAILED")


def test_trades_without_their_stop_are_listed_with_the_reason(
    exitflow: Exitflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = {**STOP, "trade_id": "t1", "status": "FAILED", "error_message": "no margin"}
    trades = [{"trade_id": "t1", "open_quantity": 40, "stop": failed}, {"trade_id": "t2", "stop": None}]

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/protective-stops/missing"
        return httpx.Response(200, json={"items": trades, "next": None})

    _serve(monkeypatch, answer)
    shown = exitflow("exits", "stops", "--missing").out
    first, second = (line for line in shown.splitlines() if "t1" in line or "t2" in line)
    assert "FAILED" in first and "no margin" in first and "none" in second
    assert json.loads(exitflow("exits", "stops", "--missing", "--json").out) == trades
    assert exitflow("exits", "stops", "--missing", "--trade", "t1").status == 2


def _serve(monkeypatch: pytest.MonkeyPatch, answer: Callable[[httpx.Request], httpx.Response]) -> None:
    """Let the commands reach this function instead of exit-api."""
    for module in (exits, exits_by_hand, exits_stops):
        monkeypatch.setattr(module, "exit_api", lambda _: ApiClient("http://api", "token", httpx.MockTransport(answer)))
