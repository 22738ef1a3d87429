"""`exitflow run mcp`: the views and rights of a client of the protocol."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

pytest.importorskip("mcp", reason="needs the extra mcp")

from mcp.client.session import ClientSession
from mcp.shared.memory import create_connected_server_and_client_session

from services.cli.support.api_client import ApiClient
from services.mcp_server.server import new_server
from services.mcp_server.tools import ChangeTools, ReadTools
from shared.clock import SystemClock, trading_day
from shared.errors import Forbidden
from tests.unit.deploy.test_alerts import REPOSITORY

QUESTIONS = [name for name in vars(ReadTools) if not name.startswith("_")]
CHANGES = [name for name in vars(ChangeTools) if not name.startswith("_")]
ID = "01a21646-663d-7725-ad37-39a5aa7b8c85"
GONE = "01a21646-663d-7725-ad37-39a5aa7b8c86"
NEEDED: dict[str, dict[str, Any]] = {
    "show_exit": {"intent_id": ID},
    "why_exit": {"trade_id": ID},
    "find_order": {"order_id": "240113000001"},
    "show_trade": {"trade_id": ID},
    "pending_exits": {"user_broker_id": "paper", "exit_reason": "TARGET"},
    "recent_exits": {"symbol": "NSE:INFY", "status": "FILLED", "trade_id": ID},
    "list_trades": {"status": "OPEN", "symbol": "NSE:INFY"},
    "profit_and_loss": {"day": "2026-01-13", "group_by": "symbol"},
}
OPENAPI = {
    name: json.loads((REPOSITORY / f"docs/contracts/openapi/{name}-api.json").read_text())["paths"]
    for name in ("exit", "trade")
}


OPERATORS_ASK = {
    "Why did a trade not exit?": "why_exit",
    "What is stuck, and how many exits are pending?": "pending_exits",
    "Which account is disconnected?": "controls",
    "Is the kill switch on, and who set it?": "controls",
    "What did we make today, by reason?": "profit_and_loss",
    "Which events are parked, and why?": "parked_events",
    "How late is the relay?": "outbox_status",
    "Which trade is nearest to its stop?": "nearest_stops",
    "What happened to an order at the broker?": "find_order",
    "Who changed what?": "audit_log",
}


def declared_query(request: httpx.Request) -> set[str]:
    """The query parameters declared by the API for the path of a request."""
    of_api = OPENAPI[request.url.host]
    path = next(each for each in of_api if re.fullmatch(re.sub(r"\{[^}]+\}", "[0-9a-f-]{36}", each), request.url.path))
    return {each["name"] for each in of_api[path]["get"].get("parameters", ()) if each["in"] == "query"}


class Apis:
    """Both APIs: they echo the requests, and know one token's scopes."""

    def __init__(self, *scopes: str) -> None:
        self.scopes = scopes
        self.asked: list[httpx.Request] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        if request.url.path == "/whoami":
            return httpx.Response(200, json={"name": "ops-desk", "scopes": list(self.scopes)})
        self.asked.append(request)
        if request.url.path == f"/exits/{GONE}":
            return httpx.Response(404, json={"status": 404, "code": "not_found", "detail": "no such exit"})
        return httpx.Response(200, json={"items": [request.url.path], "totals": {"backlog": 3}})

    def client(self, name: str) -> ApiClient:
        """A client of one of them."""
        return ApiClient(f"http://{name}", "the-secret-token", httpx.MockTransport(self.answer))


def talk(apis: Apis, say: Callable[[ClientSession], Awaitable[Any]], *, may_change: bool = False) -> Any:
    """Let a client talk to a server in this process."""
    server = new_server(apis.client("exit"), apis.client("trade"), may_change=may_change)

    async def run() -> Any:
        async with create_connected_server_and_client_session(server._mcp_server) as session:
            return await say(session)

    return asyncio.run(run())


def call(apis: Apis, tool: str, *, may_change: bool = False, **arguments: Any) -> Any:
    """Call one tool."""
    return talk(apis, lambda session: session.call_tool(tool, arguments), may_change=may_change)


def test_without_permission_there_are_questions_only_whatever_the_token_may() -> None:
    listed = talk(Apis("read", "operate"), lambda session: session.list_tools()).tools
    assert [tool.name for tool in listed] == QUESTIONS
    assert all(tool.annotations.readOnlyHint for tool in listed)
    assert all(tool.description for tool in listed)


def test_changes_are_offered_to_a_token_that_may_operate_alone() -> None:
    listed = talk(Apis("read", "operate"), lambda session: session.list_tools(), may_change=True).tools
    assert [tool.name for tool in listed] == [*QUESTIONS, *CHANGES]
    assert [tool.name for tool in listed if tool.annotations.destructiveHint] == CHANGES
    with pytest.raises(Forbidden, match="scope operate"):
        talk(Apis("read"), lambda session: session.list_tools(), may_change=True)


def test_every_question_reads_and_nothing_else() -> None:
    apis = Apis("read")
    for name in QUESTIONS:
        found = call(apis, name, **NEEDED.get(name, {}))
        assert not found.isError, found
        assert json.loads(found.content[0].text)
    assert {request.method for request in apis.asked} == {"GET"}
    assert [str(each.url) for each in apis.asked if not set(each.url.params) <= declared_query(each)] == []
    assert {request.headers["authorization"] for request in apis.asked} == {"Bearer the-secret-token"}


def test_profit_and_loss_knows_today() -> None:
    apis = Apis("read")
    call(apis, "profit_and_loss", day="today")
    call(apis, "profit_and_loss")
    assert [dict(each.url.params).get("day") for each in apis.asked] == [str(trading_day(SystemClock().now())), None]


def test_the_page_names_every_tool() -> None:
    page = (REPOSITORY / "docs/how-to/use-the-mcp-server.md").read_text()
    assert [name for name in (*QUESTIONS, *CHANGES) if f"`{name}`" not in page] == []


def test_each_question_of_an_operator_has_a_tool() -> None:
    assert set(OPERATORS_ASK.values()) <= set(QUESTIONS)


def test_filters_reach_api_and_wrong_ones_are_refused_earlier() -> None:
    apis = Apis("read")
    call(apis, "pending_exits", symbol="NSE:INFY", status="UNKNOWN", older_than_s=30)
    assert dict(apis.asked[-1].url.params) == {
        "symbol": "NSE:INFY", "status": "UNKNOWN", "older_than_s": "30.0", "counts": "true", "limit": "50",
    }  # fmt: skip
    asked = len(apis.asked)
    assert call(apis, "pending_exits", status="GONE").isError
    assert call(apis, "pending_exits", limit=1_000_000).isError
    assert call(apis, "show_exit", intent_id="../kill-switch").isError
    assert len(apis.asked) == asked


def test_refusal_is_error_giving_reason_without_token() -> None:
    found = call(Apis("read"), "show_exit", intent_id=GONE)
    assert found.isError
    assert "no such exit" in found.content[0].text
    assert "the-secret-token" not in found.model_dump_json()


def test_a_change_carries_its_reason_and_needs_one() -> None:
    apis = Apis("operate", "read")
    assert not call(apis, "force_exit", may_change=True, trade_id=ID, reason="flatten before the close").isError
    assert json.loads(apis.asked[-1].content) == {"trade_id": ID, "reason_note": "flatten before the close"}
    assert not call(apis, "set_kill_switch", may_change=True, mode="ALL", reason="broker slow").isError
    assert (apis.asked[-1].method, json.loads(apis.asked[-1].content)["mode"]) == ("PUT", "ALL")
    asked = len(apis.asked)
    assert call(apis, "force_exit", may_change=True, trade_id=ID, reason="").isError
    assert call(apis, "force_exit", may_change=True, trade_id=ID).isError
    assert len(apis.asked) == asked
