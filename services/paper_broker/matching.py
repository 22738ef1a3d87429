"""Order matching: time, quantity and price of fills. Pure: no clock, no storage."""

from __future__ import annotations

from dataclasses import replace

from services.paper_broker.orders import MAX_VALUE_UNITS, Execution, FillPlan, Order


def execution_price(order: Order, last_units: int) -> int | None:
    """Return the price at which a working order trades when the market is at `last_units`, or None.

    MARKET uses the last price. LIMIT also uses it once crossed, so it never trades worse than its limit.
    """
    limit = order.limit_units
    if order.order_type == "MARKET" or limit is None:
        return last_units
    crossed = last_units <= limit if order.side == "BUY" else last_units >= limit
    return last_units if crossed else None


def allowed(order: Order, plan: FillPlan, now_ms: int) -> int:
    """Return the total quantity of the order that may be filled by `now_ms`."""
    if not plan:
        return order.quantity
    reached = [stage.filled_at_most for stage in plan if stage.from_ms <= now_ms]
    return min(order.quantity, max(reached, default=0))


def next_stage_ms(plan: FillPlan, now_ms: int) -> int | None:
    """Return when the plan next allows more, or None."""
    return min((stage.from_ms for stage in plan if stage.from_ms > now_ms), default=None)


def execute(order: Order, plan: FillPlan, last_units: int | None, now_ms: int) -> Execution | None:
    """Return the order's execution at this moment, or None. `last_units` is None while the symbol has no price.

    An order does not trade if its value at that price exceeds the ledger's limit.
    """
    if order.status != "OPEN" or last_units is None:
        return None
    quantity = allowed(order, plan, now_ms) - order.filled_quantity
    price = execution_price(order, last_units)
    if quantity <= 0 or price is None or order.quantity * price > MAX_VALUE_UNITS:
        return None
    return Execution(quantity, price, now_ms)


def filled(order: Order, execution: Execution) -> Order:
    """Return the order after one of its executions."""
    quantity = order.filled_quantity + execution.quantity
    return replace(
        order,
        filled_quantity=quantity,
        filled_value=order.filled_value + execution.quantity * execution.price_units,
        status="COMPLETE" if quantity == order.quantity else "OPEN",
        updated_ms=execution.at_ms,
    )
