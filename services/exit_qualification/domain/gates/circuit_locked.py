"""CIRCUIT_LOCKED: at the circuit limit without a counterparty no order fills."""

from __future__ import annotations

from services.exit_qualification.domain.gates.gate import Detail, Gate, GateSpec, Verdict, defer_unless
from services.exit_qualification.domain.gates.gate_input import GateInput
from services.exit_qualification.domain.order_terms import OrderSide


def check(given: GateInput) -> tuple[Verdict, Detail]:
    """Return DEFER for a SELL at the lower limit, or a BUY at the upper one, unless a counterparty waits."""
    price = given.market.price
    if given.order_side is OrderSide.SELL:
        limit, others = price.lower_limit, price.buy_quantity
        at_limit = limit is not None and price.last is not None and price.last <= limit
    else:
        limit, others = price.upper_limit, price.sell_quantity
        at_limit = limit is not None and price.last is not None and price.last >= limit
    detail = price.json() | {"order_side": given.order_side.value}
    if limit is None:
        detail["unknown"] = "no circuit limits"
    return defer_unless(not at_limit or bool(others), detail)


CIRCUIT_LOCKED = GateSpec(
    gate=Gate.CIRCUIT_LOCKED,
    check=check,
    refusal="the symbol is locked at its circuit limit",
    defers_while=(
        "CASE WHEN i.direction = 'LONG'"
        " THEN coalesce(p.last_price <= p.lower_limit, false) AND coalesce(p.buy_quantity, 0) = 0"
        " ELSE coalesce(p.last_price >= p.upper_limit, false) AND coalesce(p.sell_quantity, 0) = 0 END"
    ),
)
