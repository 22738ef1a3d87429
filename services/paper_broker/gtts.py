"""Triggers held by the broker over days (GTT): each fires once and places a LIMIT order. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from services.paper_broker.orders import OrderRequest, Side

Kind = Literal["single", "two-leg"]
Status = Literal["active", "triggered", "deleted", "expired"]
Fires = Literal["at_or_below", "at_or_above"]

LEGS: dict[Kind, int] = {"single": 1, "two-leg": 2}
LIFETIME_MS = 365 * 86_400_000
SHOWN_MS = 7 * 86_400_000
"""Time for which an ended trigger is still listed."""


@dataclass(frozen=True, slots=True)
class GttLeg:
    """Trigger with its order, and its result once it fired: an order's number, or why the order was refused."""

    trigger_units: int
    fires: Fires
    side: Side
    product: str
    quantity: int
    limit_units: int
    triggered_units: int | None = None
    triggered_ms: int | None = None
    order_number: int | None = None
    refusal: str | None = None

    def is_reached(self, last_units: int) -> bool:
        """Return whether the market at `last_units` fires this leg."""
        return last_units <= self.trigger_units if self.fires == "at_or_below" else last_units >= self.trigger_units

    def order_of(self, symbol: str) -> OrderRequest:
        """Return the request for the leg's order. As at Kite, it has no tag."""
        return OrderRequest(symbol, self.side, self.product, "LIMIT", "DAY", self.quantity, self.limit_units, 0, None)


@dataclass(frozen=True, slots=True)
class GttRequest:
    """Validated terms of a trigger; `last_units` is the market as the client saw it."""

    symbol: str
    kind: Kind
    last_units: int
    legs: tuple[GttLeg, ...]


@dataclass(frozen=True, slots=True)
class Gtt:
    """Trigger of an account. The first leg to fire ends all of them."""

    trigger_id: int
    account: str
    symbol: str
    kind: Kind
    status: Status
    last_units: int
    created_ms: int
    updated_ms: int
    expires_ms: int
    legs: tuple[GttLeg, ...]

    def status_at(self, now_ms: int) -> Status:
        """Return the status, counting a trigger past its time as expired."""
        return "expired" if self.status == "active" and now_ms >= self.expires_ms else self.status

    def is_shown_at(self, now_ms: int) -> bool:
        """Return whether lists contain the trigger."""
        ended_ms = self.expires_ms if self.status_at(now_ms) == "expired" else self.updated_ms
        return self.status_at(now_ms) == "active" or now_ms - ended_ms < SHOWN_MS

    def reached_leg(self, last_units: int, now_ms: int) -> int | None:
        """Return the index of the leg fired by the market at `last_units`, or None."""
        if self.status_at(now_ms) != "active":
            return None
        return next((index for index, leg in enumerate(self.legs) if leg.is_reached(last_units)), None)

    def fired(self, index: int, last_units: int, now_ms: int, result: int | str) -> Gtt:
        """Return the trigger after a leg fired; `result` is the order's number, or why it was refused."""
        leg = replace(
            self.legs[index],
            triggered_units=last_units,
            triggered_ms=now_ms,
            order_number=result if isinstance(result, int) else None,
            refusal=result if isinstance(result, str) else None,
        )
        legs = (*self.legs[:index], leg, *self.legs[index + 1 :])
        return replace(self, status="triggered", updated_ms=now_ms, legs=legs)


def placed_gtt(request: GttRequest, account: str, trigger_id: int, now_ms: int) -> Gtt:
    """Return the trigger created from an accepted request."""
    return Gtt(
        trigger_id=trigger_id,
        account=account,
        symbol=request.symbol,
        kind=request.kind,
        status="active",
        last_units=request.last_units,
        created_ms=now_ms,
        updated_ms=now_ms,
        expires_ms=now_ms + LIFETIME_MS,
        legs=request.legs,
    )
