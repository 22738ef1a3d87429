"""Both APIs as the console sees them: canned answers by path, and what was asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from shared.ids import new_id

Json = dict[str, Any]
Handler = Callable[[httpx.Request], Json | httpx.Response]

READER = {"name": "rita", "scopes": ["read"]}
OPERATOR = {"name": "olga", "scopes": ["operate", "read"]}
CALLERS = {"reader-token": READER, "operator-token": OPERATOR}
AT = "2026-01-13T05:00:00.000000Z"


def problem(status: int, code: str, detail: str) -> httpx.Response:
    """Return an API's problem document."""
    return httpx.Response(status, json={"status": status, "code": code, "detail": detail})


@dataclass
class FakeApis:
    """Answers by `METHOD host path`; a host is `exit` or `trade`.

    Attributes
    ----------
    down:
        Hosts that cannot be reached.
    asked:
        Requests that arrived, without those for `whoami`.
    """

    answers: dict[str, Json | Handler] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    asked: list[httpx.Request] = field(default_factory=list)

    async def handle(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        if request.url.host in self.down:
            raise httpx.ConnectError("refused", request=request)
        caller = CALLERS.get(request.headers["authorization"].removeprefix("Bearer "))
        if caller is None:
            return problem(401, "unauthenticated", "the token is not known or has expired")
        if request.url.path == "/whoami":
            return httpx.Response(200, json=caller)
        self.asked.append(request)
        answer = self.answers.get(f"{request.method} {request.url.host} {request.url.path}")
        if answer is None:
            return problem(404, "not_found", f"{request.url.path} not found")
        found = answer(request) if callable(answer) else answer
        return found if isinstance(found, httpx.Response) else httpx.Response(200, json=found)

    def last_body(self) -> Json:
        """Return the body of the last request."""
        body: Json = json.loads(self.asked[-1].content)
        return body


def intent(**changes: Any) -> Json:
    """Return a pending exit as exit-api shows it."""
    return {
        "intent_id": str(new_id()),
        "signal_id": str(new_id()),
        "trade_id": str(new_id()),
        "user_broker_id": "paper",
        "symbol": "NSE:INFY",
        "direction": "LONG",
        "product_type": "MIS",
        "exit_reason": "STOP_LOSS",
        "episode_id": 1,
        "status": "PENDING",
        "executable": True,
        "quantity": 100,
        "filled_quantity": 0,
        "average_price": None,
        "detected_price": "989.50",
        "exit_level": "990.00",
        "client_order_id": "A" * 20,
        "broker_order_id": None,
        "error_code": None,
        "error_message": None,
        "cancel_reason": None,
        "late_filled": False,
        "created_at": AT,
        "expires_at": None,
        "submitted_at": None,
        "placed_at": None,
        "filled_at": None,
        "ended_at": None,
        "age_ms": 1000,
        "gates": [
            {"gate": "TRADE_OPEN", "verdict": "PASS", "detail": {"trade_status": "OPEN"}},
            {"gate": "KILL_SWITCH", "verdict": "DEFER", "detail": {"mode": "ALL"}},
        ],
        "errors": [],
        **changes,
    }


def page(*items: Json, next: str | None = None) -> Json:  # noqa: A002
    """Return a page of a list."""
    return {"items": list(items), "next": next}
