"""Both APIs in the console's view: canned answers by path, and the requests received."""

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
OPERATOR = {"name": "ops-desk", "scopes": ["operate", "read"]}
CALLERS = {"reader-token": READER, "operator-token": OPERATOR}
AT = "2026-01-13T05:00:00.000000Z"

EMPTY: dict[str, Json] = {"GET exit /protective-stops/missing": {"items": [], "next": None}}
"""Empty answers unless a test gives another."""


def problem(status: int, code: str, detail: str) -> httpx.Response:
    """Return an API's problem document."""
    return httpx.Response(status, json={"status": status, "code": code, "detail": detail})


@dataclass
class FakeApis:
    """Answers by `METHOD host path`; a host is `exit` or `trade`.

    Attributes
    ----------
    revoked:
        No token is known any more.
    down:
        Hosts out of reach.
    asked:
        Requests received, without those for `whoami`.
    """

    answers: dict[str, Json | Handler] = field(default_factory=dict)
    revoked: bool = False
    down: set[str] = field(default_factory=set)
    asked: list[httpx.Request] = field(default_factory=list)

    async def handle(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        if request.url.host in self.down:
            raise httpx.ConnectError("refused", request=request)
        caller = None if self.revoked else CALLERS.get(request.headers["authorization"].removeprefix("Bearer "))
        if caller is None:
            return problem(401, "unauthenticated", "the token is unknown or has expired")
        if request.url.path == "/whoami":
            return httpx.Response(200, json=caller)
        self.asked.append(request)
        asked = f"{request.method} {request.url.host} {request.url.path}"
        answer = self.answers.get(asked, EMPTY.get(asked))
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
        "gates_passed": 1,
        "errors": [],
        **changes,
    }


def stop(**changes: Any) -> Json:
    """Return an armed protective stop as exit-api shows it."""
    return {
        "stop_id": str(new_id()),
        "trade_id": str(new_id()),
        "user_broker_id": "paper",
        "symbol": "NSE:INFY",
        "direction": "LONG",
        "product_type": "MIS",
        "status": "ARMED",
        "quantity": 100,
        "trigger_price": "988.00",
        "client_order_id": "S" * 20,
        "broker_order_id": "B7",
        "error_code": None,
        "error_message": None,
        "end_reason": None,
        "created_at": "2026-01-13T05:00:00.100Z",
        "submitted_at": "2026-01-13T05:00:00.200Z",
        "asked_at": None,
        "changes": 0,
        "armed_at": "2026-01-13T05:00:00.500Z",
        "ended_at": None,
        "intent_id": None,
        **changes,
    }


def page(*items: Json, next: str | None = None) -> Json:  # noqa: A002
    """Return a page of a list."""
    return {"items": list(items), "next": next}


def trade(**changes: Any) -> Json:
    """Return an open trade as trade-api shows it."""
    return {
        "trade_id": str(new_id()),
        "status": "OPEN",
        "symbol": "NSE:INFY",
        "direction": "LONG",
        "product_type": "MIS",
        "user_broker_id": "paper",
        "quantity": 100,
        "open_quantity": 100,
        "entry_price": "1000.00",
        "exit_plan": {"target": "1010.00", "stop_loss": "990.00", "trailing_stop": {"amount": "5.00"}},
        "entered_at": AT,
        "exit_price": None,
        "exit_reason": None,
        "gross_pnl": None,
        "charges": None,
        "net_pnl": None,
        "closed_at": None,
        "exit_intent_id": None,
        "created_at": AT,
        "updated_at": AT,
        **changes,
    }


def rule(**changes: Any) -> Json:
    """Return an armed stop of an explanation."""
    return {
        "exit_reason": "STOP_LOSS",
        "leg": None,
        "armed": changes.get("held_by") is None,
        "held_by": None,
        "level": "990.00",
        "arms_at": None,
        "reached": "at or below",
        "distance": "11.0000",
        "watermark": None,
        "deadline": None,
        "due_in_ms": None,
        "bricks": None,
        "last_episode_id": None,
        "cooldown_until": None,
        **changes,
    }


def explanation(*rules: Json, **changes: Any) -> Json:
    """Return exit-api's answer about the rules of an open trade."""
    return {
        "trade_id": str(new_id()),
        "symbol": "NSE:INFY",
        "market_phase": None,
        "last_tick": {"price": "1001.00", "at": AT, "arrived_at": AT, "age_ms": 1200, "ticks": 3},
        "rules": list(rules),
        "waiting": [],
        "protective_stop": None,
        "timeline": [],
        **changes,
    }


def parked(sequence: int, key: str = "k", **changes: Any) -> Json:
    """Return a parked event."""
    return {
        "event_id": str(new_id()),
        "shard": 1,
        "topic": "exits.intents.v1",
        "key": key,
        "sequence": sequence,
        "event_type": "io.exitflow.ExitIntentFilled.v1",
        "payload_bytes": 900,
        "reason": "MSG_SIZE_TOO_LARGE",
        "parked_at": AT,
        "request": None,
        "requested_by": None,
        "requested_at": None,
        "request_reason": None,
        **changes,
    }


def outbox(**changes: Any) -> Json:
    """Return an outbox of one shard."""
    shard = {
        "shard": 1, "owner": str(new_id()), "paused": False, "epoch": 3, "lease_until": AT, "backlog": 12,
        "oldest_age_s": 0.4, "parked": 3, "requested": 0, **changes,
    }  # fmt: skip
    totals = {"shards": 1, "owned": 1, "owners": 1, "paused": int(shard["paused"])}
    totals |= {name: shard[name] for name in ("backlog", "oldest_age_s", "parked", "requested")}
    return {"totals": totals, "shards": [shard]}
