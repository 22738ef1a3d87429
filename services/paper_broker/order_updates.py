"""Order updates for clients, as often as the active fault rules say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from services.paper_broker.fault_effects import PostbackEffect
from services.paper_broker.faults import copies_under
from services.paper_broker.ledger import Books
from services.paper_broker.orders import Order


@dataclass(frozen=True, slots=True)
class OrderUpdate:
    """State of an order after a change; one copy is posted after each delay, none without delays."""

    order: Order
    delays_ms: tuple[int, ...]


def updates_of(books: Books) -> Iterator[OrderUpdate]:
    """Yield the updates of a transaction's orders, oldest first; reduce the counts of the fault rules they match."""
    for order in books.orders.changes:
        if _is_told(order):
            effects = books.faults.take(order.account, order.symbol, PostbackEffect)
            yield OrderUpdate(order, copies_under(effects))


def _is_told(order: Order) -> bool:
    """Return False for an order just accepted: as at Kite, only later changes are told."""
    return not order.is_working or order.filled_quantity > 0 or bool(order.modified)
