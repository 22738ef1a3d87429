"""BrokerBooks: one complete read of an account's order and trade book, and what it shows of each intent."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.outcome import OrderState
from services.exit_qualification.orders.brokers.port import BrokerFill, BrokerOrder, BrokerPort


@dataclass(frozen=True, slots=True)
class Sighting:
    """An intent's order as the books show it: the order book's word, and the trade book's fills."""

    order: BrokerOrder
    fills: tuple[BrokerFill, ...]

    @property
    def order_id(self) -> str:
        """The broker's id of the order."""
        return self.order.order_id

    @property
    def filled_quantity(self) -> int:
        """Sum of the fills that are known."""
        return sum(fill.quantity for fill in self.fills)

    @property
    def state(self) -> OrderState:
        """The order's state; WORKING as well while the trade book lags, so that nothing ends before its fills."""
        behind = self.filled_quantity < self.order.filled_quantity
        return OrderState.WORKING if behind else self.order.state

    @property
    def is_working(self) -> bool:
        """Whether the order may still fill, by the order book's word."""
        return self.order.state is OrderState.WORKING


class BrokerBooks:
    """Orders by their tags and ids, with their fills."""

    def __init__(self, orders: list[BrokerOrder], fills: list[BrokerFill]) -> None:
        self._by_id = {order.order_id: order for order in orders}
        self._by_tag = {tag: order for order in reversed(orders) for tag in order.tags}
        self._fills: dict[str, dict[tuple[str, str], BrokerFill]] = defaultdict(dict)
        for fill in fills:
            self._fills[fill.order_id][fill.exchange, fill.trade_id] = fill

    def sighting(self, intent: ExitIntent) -> Sighting | None:
        """The intent's order, by the id it is known under or else by its tag; None if the books have none."""
        order = self._by_id.get(intent.broker_order_id or "") or self._by_tag.get(intent.client_order_id)
        if order is None:
            return None
        return Sighting(order, tuple(self._fills.get(order.order_id, {}).values()))


def read_books(broker: BrokerPort) -> BrokerBooks:
    """Read both books, trades last, so that no order is seen ended before its fills.

    Raises
    ------
    BrokerUnavailable
        One of them could not be read, or not whole.
    """
    orders = broker.orders()
    return BrokerBooks(orders, broker.trades())
