"""Fault effects on calls: requests with the account's token, whatever they ask for. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeVar

from pydantic import Field

from services.paper_broker.fault_effects import FaultEffect, Milliseconds

Call = Literal["place", "modify", "cancel", "books", "positions", "quotes", "other"]
Body = Literal["html", "truncated", "cut", "empty", "no_data", "null_data", "untyped"]


class CallEffect(FaultEffect):
    """Effect on a call. Without `calls` it meets every call; log-in and the control API meet none."""

    calls: Call | None = Field(None, description="only these calls; null means any")


class ExpireSession(CallEffect):
    """Answer as to an expired token, and do nothing else."""

    kind: Literal["expire_session"] = "expire_session"


class LoseRequest(CallEffect):
    """Never do what the call asks for; cut its connection after `after_ms`, without an answer."""

    kind: Literal["lose_request"] = "lose_request"
    after_ms: Milliseconds


class SlowAnswer(CallEffect):
    """Answer `ms` later than usual. With `parts`, the body comes in so many pieces, each after that time."""

    kind: Literal["slow_answer"] = "slow_answer"
    ms: Milliseconds
    parts: int = Field(1, ge=1, le=100)


class WrongAnswer(CallEffect):
    """Do what the call asks for, but answer with this status and no such body as Kite documents."""

    kind: Literal["wrong_answer"] = "wrong_answer"
    body: Body = "html"
    http_status: int = Field(502, ge=200, le=599)


OneCallEffect = TypeVar("OneCallEffect", bound=CallEffect)


def call_named(method: str, path: str) -> Call:
    """Return which kind of call a request is."""
    area = path.split("/", 2)[1]
    if area in ("orders", "trades"):
        return _ORDER_CALLS.get(method, "other")
    return _READS.get(area, "other")


_ORDER_CALLS: dict[str, Call] = {"POST": "place", "PUT": "modify", "DELETE": "cancel", "GET": "books"}
_READS: dict[str, Call] = {"portfolio": "positions", "quote": "quotes"}


def meets_call(effect: FaultEffect, call: Call) -> bool:
    """Return whether an effect is one on calls of this kind."""
    return isinstance(effect, CallEffect) and effect.calls in (None, call)


def effect_of(effects: Sequence[CallEffect], of: type[OneCallEffect]) -> OneCallEffect | None:
    """Return the effect of one kind, or None."""
    return next((effect for effect in effects if isinstance(effect, of)), None)
