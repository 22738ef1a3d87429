"""TICK_SANE: a price outside the day's circuit limits is no price to exit by."""

from __future__ import annotations

from decimal import Decimal

from services.exit_qualification.domain.gates.gate import Detail, Gate, GateSpec, Verdict, reject_unless
from services.exit_qualification.domain.gates.gate_input import GateInput
from services.exit_qualification.domain.gates.tick_fresh import BY_NO_PRICE, BY_PRICE_SQL
from services.exit_qualification.domain.market_facts import PriceFacts


def check(given: GateInput) -> tuple[Verdict, Detail]:
    """Return DEFER while the last price lies outside the limits, REJECT if only the detecting price did.

    The limits may be of before the exchange moved them, so a new quote decides.
    """
    if given.exit_reason in BY_NO_PRICE:
        return Verdict.PASS, {"exit_reason": given.exit_reason.value}
    price, detected = given.market.price, given.detected_price
    detail = price.json() | {"detected_price": None if detected is None else str(detected)}
    if price.lower_limit is None and price.upper_limit is None:
        return Verdict.PASS, detail | {"unknown": "no circuit limits"}
    if _is_outside(price.last, price):
        return Verdict.DEFER, detail
    return reject_unless(not _is_outside(detected, price), detail)


def _is_outside(value: Decimal | None, price: PriceFacts) -> bool:
    if value is None:
        return False
    below = price.lower_limit is not None and value < price.lower_limit
    return below or (price.upper_limit is not None and value > price.upper_limit)


TICK_SANE = GateSpec(
    gate=Gate.TICK_SANE,
    check=check,
    refusal="it was detected by a price outside the circuit limits",
    defers_while=(
        f"{BY_PRICE_SQL}"
        " AND (coalesce(p.last_price < p.lower_limit, false) OR coalesce(p.last_price > p.upper_limit, false))"
    ),
)
