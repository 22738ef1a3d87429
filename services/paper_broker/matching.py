"""Order matching: time, quantity and price of fills. Pure: no clock, no storage."""

from __future__ import annotations

from dataclasses import replace

from services.paper_broker.orders import MAX_VALUE_UNITS, Execution, FillPlan, Order, Side, Stage


def execution_price(order: Order, last_units: int) -> int | None:
    """Return the price at which a working order trades with the market at `last_units`, or None.

    An order without a limit uses the last price. One with a limit also uses it once crossed, so it never trades
    worse than its limit.
    """
    limit = order.limit_units
    if limit is None:
        return last_units
    crossed = last_units <= limit if order.side == "BUY" else last_units >= limit
    return last_units if crossed else None


def reaches_trigger(side: Side, trigger_units: int, last_units: int) -> bool:
    """Return whether the market at `last_units` triggers a stop: at or below a SELL's trigger, at or above a BUY's."""
    return last_units <= trigger_units if side == "SELL" else last_units >= trigger_units


def is_triggered(order: Order, last_units: int | None) -> bool:
    """Return whether the market at `last_units` triggers this order; it does not if the order waits for no trigger."""
    if order.status != "TRIGGER PENDING" or order.trigger_units is None or last_units is None:
        return False
    return reaches_trigger(order.side, order.trigger_units, last_units)


def triggered(order: Order, now_ms: int) -> Order:
    """Return a stop order after its trigger: it trades as one without."""
    return replace(order, status="OPEN", updated_ms=now_ms)


def postponed(plan: FillPlan, by_ms: int) -> FillPlan:
    """Return the plan with every stage later by `by_ms`."""
    return tuple(Stage(stage.from_ms + by_ms, stage.filled_at_most) for stage in plan)


def allowed(order: Order, plan: FillPlan, now_ms: int) -> int:
    """Return the total quantity of the order allowed to be filled by `now_ms`."""
    if not plan:
        return order.quantity
    reached = [stage.filled_at_most for stage in plan if stage.from_ms <= now_ms]
    return min(order.quantity, max(reached, default=0))


def next_stage_ms(plan: FillPlan, now_ms: int) -> int | None:
    """Return when the plan next allows more, or None."""
    return min((stage.from_ms for stage in plan if stage.from_ms > now_ms), default=None)


def execute(order: Order, plan: FillPlan, last_units: int | None, now_ms: int) -> Execution | None:
    """Return the order's execution at this moment, or None. `last_units` is None while the symbol has no price.

    An order does not trade if its value at the price exceeds the ledger's limit.
    """
    if order.status != "OPEN" or last_units is None:
        return None
    quantity = allowed(order, plan, now_ms) - order.filled_quantity
    price = execution_price(order, last_units)
    if quantity <= 0 or price is None or order.quantity * price > MAX_VALUE_UNITS:
        return None
    return Execution(quantity, price, now_ms)


def filled(order: Order, execution: Execution) -> Order:
    """Return the order after one of its executions: COMPLETE if nothing is left, else as it was.

    A cancelled order with a late fill stays CANCELLED.
    """
    quantity = order.filled_quantity + execution.quantity
    return replace(
        order,
        filled_quantity=quantity,
        filled_value=order.filled_value + execution.quantity * execution.price_units,
        status="COMPLETE" if quantity == order.quantity else order.status,
        updated_ms=execution.at_ms,
    )
