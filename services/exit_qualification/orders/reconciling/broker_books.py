"""One complete read of an account's order and trade book, and the state of each intent's order in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.outcome import OrderState
from services.exit_qualification.domain.protective_stop import ProtectiveStop
from services.exit_qualification.orders.brokers.port import BrokerFill, BrokerOrder, BrokerPort

FEW = 2
MOST = 8
"""Orders to read one by one while the books are short, and however long they are: brokers limit calls."""

LISTED_PER_CALL = 100
"""So many orders of a book cost as much as a single read of one order."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """Order of an intent in the books: the order book's status and the trade book's fills."""

    order: BrokerOrder
    fills: tuple[BrokerFill, ...]

    @property
    def order_id(self) -> str:
        """Return the broker's id of the order."""
        return self.order.order_id

    @property
    def filled_quantity(self) -> int:
        """Return the sum of the known fills."""
        return sum(fill.quantity for fill in self.fills)

    @property
    def state(self) -> OrderState:
        """Return the order's state; WORKING while the trade book lags, so an intent never ends before its fills."""
        behind = self.filled_quantity < self.order.filled_quantity
        return OrderState.WORKING if behind else self.order.state

    @property
    def ended_at_quantity(self) -> int | None:
        """Return the quantity of a completed order; None while it works, or if it ended otherwise."""
        return self.order.quantity if self.state is OrderState.COMPLETE else None

    @property
    def is_working(self) -> bool:
        """Return whether the order may still fill according to the order book."""
        return self.order.state is OrderState.WORKING

    def works_beyond(self, quantity: int) -> bool:
        """Return whether the order works for more than this quantity, because somebody raised it at the broker."""
        return self.is_working and (self.order.quantity or 0) > quantity


class BrokerBooks:
    """Orders by tag and id, with their fills.

    Attributes
    ----------
    are_complete:
        Whether they hold every order of the account: a missing order was then not placed.
    """

    def __init__(self, orders: list[BrokerOrder], fills: list[BrokerFill], *, are_complete: bool = True) -> None:
        self.are_complete = are_complete
        self._by_id = {order.order_id: order for order in orders}
        self._by_tag = {tag: order for order in reversed(orders) for tag in order.tags}
        self._fills = _fills_by_order(fills)

    def orders_of_ours(self) -> dict[str, tuple[int, bool]]:
        """Return the filled quantity of every order with a tag, by id, and whether it works."""
        return {
            order.order_id: (order.filled_quantity, order.state is OrderState.WORKING)
            for order in self._by_id.values()
            if order.tags
        }

    def sighting(self, sent: ExitIntent | ProtectiveStop) -> Sighting | None:
        """Return the order of an intent or stop, found by its known id or its tag; None if the books lack it."""
        order = self._by_id.get(sent.broker_order_id or "") or self._by_tag.get(sent.client_order_id)
        if order is None:
            return None
        return Sighting(order, tuple(self._fills.get(order.order_id, {}).values()))


def _fills_by_order(fills: Iterable[BrokerFill]) -> dict[str, dict[tuple[str, str], BrokerFill]]:
    """Return the fills of each order, each once."""
    found: dict[str, dict[tuple[str, str], BrokerFill]] = defaultdict(dict)
    for fill in fills:
        found[fill.order_id][fill.exchange, fill.trade_id] = fill
    return found


def read_books(broker: BrokerPort) -> BrokerBooks:
    """Read both books, trades last: no order appears ended before its fills.

    Raises
    ------
    BrokerUnavailable
        One of the books could not be read completely.
    """
    orders = broker.orders()
    return BrokerBooks(orders, broker.trades())


def few_of(broker: BrokerPort) -> int:
    """Return how many orders are cheaper to read one by one than with the whole books of the day."""
    return min(MOST, max(FEW, broker.book_size // LISTED_PER_CALL))


def read_placed(broker: BrokerPort, placed: Sequence[ExitIntent | ProtectiveStop]) -> BrokerBooks:
    """Read placed orders alone if they are few; more are cheaper to read with the whole books.

    Raises
    ------
    BrokerUnavailable
        One of them, or of the books, could not be read.
    """
    order_ids = [sent.broker_order_id for sent in placed if sent.broker_order_id is not None]
    return read_orders(broker, order_ids) if len(order_ids) == len(placed) else read_books(broker)


def read_fills_of(broker: BrokerPort, order_ids: Collection[str]) -> dict[str, tuple[BrokerFill, ...]]:
    """Return the fills of each of these orders: of a few one by one, of more from the trade book.

    Raises
    ------
    BrokerUnavailable
        They could not be read completely.
    """
    few = len(order_ids) <= few_of(broker)
    read = [fill for order_id in order_ids for fill in broker.fills_of(order_id)] if few else broker.trades()
    fills = _fills_by_order(read)
    return {order_id: tuple(fills[order_id].values()) for order_id in order_ids}


def read_orders(broker: BrokerPort, order_ids: Sequence[str]) -> BrokerBooks:
    """Read these orders alone if they are few, else the whole books.

    Raises
    ------
    BrokerUnavailable
        One of them, or of the books, could not be read.
    """
    return read_single_orders(broker, order_ids) if len(order_ids) <= few_of(broker) else read_books(broker)


def read_single_orders(broker: BrokerPort, order_ids: Sequence[str]) -> BrokerBooks:
    """Read some orders and their fills alone: its cost does not grow with the orders of the day.

    Raises
    ------
    BrokerUnavailable
        One of them could not be read.
    """
    orders = [order for order_id in order_ids if (order := broker.order(order_id)) is not None]
    fills = [fill for order in orders if order.filled_quantity for fill in broker.fills_of(order.order_id)]
    return BrokerBooks(orders, fills, are_complete=False)
