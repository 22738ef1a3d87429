"""When an order fills, how much of it and at what price. Pure: no clock, no storage."""

from __future__ import annotations

from dataclasses import replace

from services.paper_broker.orders import MAX_VALUE_UNITS, Execution, FillPlan, Order


def execution_price(order: Order, last_units: int) -> int | None:
    """The price a working order trades at when the market stands at `last_units`, or None.

    MARKET takes the last price. LIMIT takes it too once crossed, so it never does worse than its limit.
    """
    limit = order.limit_units
    if order.order_type == "MARKET" or limit is None:
        return last_units
    crossed = last_units <= limit if order.side == "BUY" else last_units >= limit
    return last_units if crossed else None


def allowed(order: Order, plan: FillPlan, now_ms: int) -> int:
    """How much of the order may be filled in all by `now_ms`."""
    if not plan:
        return order.quantity
    reached = [stage.filled_at_most for stage in plan if stage.from_ms <= now_ms]
    return min(order.quantity, max(reached, default=0))


def next_stage_ms(plan: FillPlan, now_ms: int) -> int | None:
    """When the plan next allows more, or None."""
    return min((stage.from_ms for stage in plan if stage.from_ms > now_ms), default=None)


def execute(order: Order, plan: FillPlan, last_units: int | None, now_ms: int) -> Execution | None:
    """What of the order trades now, or None. `last_units` is None while the symbol has no price.

    An order whose value at that price is beyond what the ledger can add up does not trade.
    """
    if order.status != "OPEN" or last_units is None:
        return None
    quantity = allowed(order, plan, now_ms) - order.filled_quantity
    price = execution_price(order, last_units)
    if quantity <= 0 or price is None or order.quantity * price > MAX_VALUE_UNITS:
        return None
    return Execution(quantity, price, now_ms)


def filled(order: Order, execution: Execution) -> Order:
    """The order after one of its executions."""
    quantity = order.filled_quantity + execution.quantity
    return replace(
        order,
        filled_quantity=quantity,
        filled_value=order.filled_value + execution.quantity * execution.price_units,
        status="COMPLETE" if quantity == order.quantity else "OPEN",
        updated_ms=execution.at_ms,
    )
