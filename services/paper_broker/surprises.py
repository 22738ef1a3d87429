"""What a broker does to an order by itself: cancels it, fills it after its cancel, shows it late. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from services.paper_broker.matching import execution_price, reaches_trigger
from services.paper_broker.orders import MAX_VALUE_UNITS, Execution, Order


@dataclass(frozen=True, slots=True)
class Surprises:
    """Times are milliseconds since 1970, None for what does not happen.

    Attributes
    ----------
    late_after_ms, late_quantity:
        How long after a cancel so much is filled, all of the rest without a quantity.
    late_fill_ms:
        When that is; known once the order is cancelled.
    """

    cancel_ms: int | None = None
    late_after_ms: int | None = None
    late_quantity: int | None = None
    late_fill_ms: int | None = None
    shown_from_ms: int | None = None

    def after_cancel(self, now_ms: int) -> Surprises:
        """Return what still comes after the order was cancelled."""
        late_ms = None if self.late_after_ms is None else now_ms + self.late_after_ms
        return replace(self, cancel_ms=None, late_fill_ms=late_ms)

    def without_late_fill(self) -> Surprises:
        """Return what still comes after the late fill, or after it proved impossible."""
        return replace(self, late_after_ms=None, late_quantity=None, late_fill_ms=None)


def late_execution(order: Order, surprises: Surprises, last_units: int | None, now_ms: int) -> Execution | None:
    """Return the fill of a cancelled order at the last price, None if the market does not allow one."""
    if last_units is None or not _is_reached(order, last_units):
        return None
    price = execution_price(order, last_units)
    if order.status != "CANCELLED" or price is None or order.quantity * price > MAX_VALUE_UNITS:
        return None
    return Execution(min(surprises.late_quantity or order.unfilled, order.unfilled), price, now_ms)


def _is_reached(order: Order, last_units: int) -> bool:
    return order.trigger_units is None or reaches_trigger(order.side, order.trigger_units, last_units)
