"""PRODUCT_MATCH: the order has the trade's product, and the exchange offers it."""

from __future__ import annotations

from services.exit_qualification.domain.gates.gate import Detail, Gate, GateSpec, Verdict, reject_unless
from services.exit_qualification.domain.gates.gate_input import GateInput
from services.exit_qualification.domain.market_calendar import exchange_of
from shared.contracts.exchanges import DELIVERY_EXCHANGES, DERIVATIVE_EXCHANGES
from shared.contracts.vocabulary import Direction, ProductType


def check(given: GateInput) -> tuple[Verdict, Detail]:
    """Return REJECT for another product than the trade's, CNC of a derivative, or a SHORT in CNC."""
    exchange = exchange_of(given.symbol)
    detail: dict[str, object] = {
        "product_type": given.product_type.value,
        "order_product_type": given.order_product_type.value,
        "exchange": exchange,
        "direction": given.direction.value,
    }
    matches = given.order_product_type is given.product_type
    if given.order_product_type is not ProductType.CNC:
        return reject_unless(matches, detail)
    if exchange not in DELIVERY_EXCHANGES | DERIVATIVE_EXCHANGES:
        detail["unknown"] = "exchange"
    delivered = exchange not in DERIVATIVE_EXCHANGES and given.direction is Direction.LONG
    return reject_unless(matches and delivered, detail)


PRODUCT_MATCH = GateSpec(
    gate=Gate.PRODUCT_MATCH, check=check, refusal="the order's product does not fit the trade or its exchange"
)
