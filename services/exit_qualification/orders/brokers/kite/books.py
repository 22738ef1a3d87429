"""Items of Kite's order and trade book as sent by the broker: float prices, naive Indian times."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, TypeVar

from services.exit_qualification.domain.market_facts import Quote
from services.exit_qualification.domain.outcome import OrderState
from services.exit_qualification.orders.brokers.port import BrokerFill, BrokerOrder, BrokerPosition, ListedInstruments
from services.exit_qualification.orders.metrics import UNREADABLE_ROWS
from shared.clock import TRADING_ZONE
from shared.contracts.instruments import instrument_of
from shared.errors import InvalidInput
from shared.money import to_price

log = logging.getLogger(__name__)

Item = TypeVar("Item")
DELIVERY: Final = "CNC"
AWAITS_TRIGGER: Final = "TRIGGER PENDING"
_TRIGGERED: Final = frozenset({"OPEN", "COMPLETE"})
KITE_TIME: Final = "%Y-%m-%d %H:%M:%S"
_ENDED: Final[Mapping[str, OrderState]] = MappingProxyType(
    {
        "COMPLETE": OrderState.COMPLETE,
        "CANCELLED": OrderState.CANCELLED,
        "REJECTED": OrderState.REJECTED,
    }
)


def a_list(data: Any) -> list[Any]:
    """Return the items of a book; raise for anything but a list, because an empty object would look like an empty book.

    Raises
    ------
    TypeError
        The value is not a list.
    """
    if not isinstance(data, list):
        raise TypeError(f"a {type(data).__name__} is not a list of orders or trades")
    return data


def read_orders(items: list[Any]) -> list[BrokerOrder]:
    """Return the orders of a book; skip and count items impossible for our orders."""
    return _readable("orders", items, read_order)


def read_fills(items: list[Any]) -> list[BrokerFill]:
    """Return the fills of a book; skip and count unreadable items.

    An order with a skipped fill stays WORKING, because its order shows more than its fills.
    """
    return _readable("trades", items, read_fill)


def read_order(item: Mapping[str, Any]) -> BrokerOrder:
    """Return an item of the order book; an unknown status, or an unreadable quantity, counts as working."""
    marks = [item.get("tag"), *(item.get("tags") or [])]
    filled, quantity = _whole(item.get("filled_quantity")), _whole(item.get("quantity"))
    state = _ENDED.get(str(item.get("status")), OrderState.WORKING)
    return BrokerOrder(
        order_id=_id(item, "order_id"),
        tags=frozenset(str(mark) for mark in marks if mark),
        state=OrderState.WORKING if filled is None else state,
        status_message=item.get("status_message"),
        filled_quantity=filled or 0,
        quantity=quantity,
        trigger_price=to_price(Decimal(str(item["trigger_price"]))) if item.get("trigger_price") else None,
        awaits_trigger=item.get("status") == AWAITS_TRIGGER,
        was_triggered=bool(filled) or item.get("status") in _TRIGGERED,
    )


def wire_price(price: Decimal) -> float:
    """Return a price as the official client sends it; its shortest text is the decimal."""
    return float(price)


def read_quotes(quotes: Mapping[str, Mapping[str, Any]]) -> list[Quote]:
    """Return full quotes; omit symbols without a price. Kite writes 0 for an unknown limit."""
    return [_quote(symbol, item) for symbol, item in quotes.items() if item["last_price"]]


def _quote(symbol: str, item: Mapping[str, Any]) -> Quote:
    def price(name: str) -> Decimal | None:
        return to_price(Decimal(str(item[name]))) if item.get(name) else None

    return Quote(
        symbol,
        to_price(Decimal(str(item["last_price"]))),
        price("lower_circuit_limit"),
        price("upper_circuit_limit"),
        item.get("buy_quantity"),
        item.get("sell_quantity"),
    )


def read_instruments(rows: Iterable[Mapping[str, Any]]) -> ListedInstruments:
    """Return the rows of the instruments file; skip and count those not of our kinds."""
    found, skipped = [], 0
    for row in rows:
        try:
            found.append(instrument_of(row))
        except InvalidInput:
            skipped += 1
    return ListedInstruments(tuple(found), skipped)


def read_fill(item: Mapping[str, Any]) -> BrokerFill:
    """Return an item of the trade book; Kite's "average price" is the price of this one execution."""
    return BrokerFill(
        order_id=_id(item, "order_id"),
        trade_id=_id(item, "trade_id"),
        exchange=str(item["exchange"]),
        quantity=int(item["quantity"]),
        price=to_price(Decimal(str(item["average_price"]))),
        filled_at=_utc(item.get("fill_timestamp") or item["exchange_timestamp"]),
        symbol=f"{item['exchange']}:{item.get('tradingsymbol')}" if item.get("tradingsymbol") else "",
        product_type=str(item.get("product") or ""),
        side=str(item.get("transaction_type") or ""),
    )


def read_positions(net: Any, holdings: list[Any]) -> list[BrokerPosition]:
    """Return the net positions and the delivered shares, summed by symbol and product.

    Kite keeps shares sold today in the holdings and shows the sale as a negative position.

    Raises
    ------
    KeyError, TypeError, ValueError
        A row cannot be read: a missing position would look closed.
    """
    summed: Counter[tuple[str, str]] = Counter()
    for item in a_list(net):
        summed[f"{item['exchange']}:{item['tradingsymbol']}", str(item["product"])] += int(item["quantity"])
    for item in holdings:
        held = int(item["quantity"]) + int(item.get("t1_quantity") or 0)
        summed[f"{item['exchange']}:{item['tradingsymbol']}", DELIVERY] += held
    return [BrokerPosition(symbol, product, quantity) for (symbol, product), quantity in summed.items()]


def _readable(book: str, items: list[Any], read: Callable[[Mapping[str, Any]], Item]) -> list[Item]:
    found, odd = [], 0
    for item in items:
        try:
            found.append(read(item))
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError):
            odd += 1
    if odd:
        UNREADABLE_ROWS.labels(book).inc(odd)
        log.warning("%d of %d rows of the broker's %s cannot be read and are skipped", odd, len(items), book)
    return found


def _id(item: Mapping[str, Any], name: str) -> str:
    value = item[name]
    if not value:
        raise ValueError(f"no {name}")
    return str(value)


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _utc(local: str | datetime) -> datetime:
    """Return the instant of Kite's naive Indian time, a text of 19 characters."""
    at = datetime.strptime(local, KITE_TIME) if isinstance(local, str) else local  # noqa: DTZ007  # zone follows
    return at.replace(tzinfo=TRADING_ZONE).astimezone(UTC)
