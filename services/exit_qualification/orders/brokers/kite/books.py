"""Items of Kite's order and trade book as returned by the client: float prices, naive Indian times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from services.exit_qualification.domain.market_facts import Quote
from services.exit_qualification.domain.outcome import OrderState
from services.exit_qualification.orders.brokers.port import BrokerFill, BrokerOrder, ListedInstruments
from shared.clock import TRADING_ZONE
from shared.contracts.instruments import instrument_of
from shared.errors import InvalidInput
from shared.money import to_price

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


def read_order(item: Mapping[str, Any]) -> BrokerOrder:
    """Return an item of the order book; an unknown status counts as working."""
    marks = [item.get("tag"), *(item.get("tags") or [])]
    return BrokerOrder(
        order_id=str(item["order_id"]),
        tags=frozenset(str(mark) for mark in marks if mark),
        state=_ENDED.get(item["status"], OrderState.WORKING),
        status_message=item.get("status_message"),
        filled_quantity=int(item["filled_quantity"]),
    )


def read_quotes(quotes: Mapping[str, Mapping[str, Any]]) -> list[Quote]:
    """Return full quotes; omit symbols without a price. Kite writes 0 for a limit that it does not know."""
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
    """Return the rows of the instruments file; skip and count those that are no instruments of ours."""
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
        order_id=str(item["order_id"]),
        trade_id=str(item["trade_id"]),
        exchange=str(item["exchange"]),
        quantity=int(item["quantity"]),
        price=to_price(Decimal(str(item["average_price"]))),
        filled_at=_utc(item.get("fill_timestamp") or item["exchange_timestamp"]),
    )


def _utc(local: datetime) -> datetime:
    """Return the instant of Kite's naive Indian time."""
    return local.replace(tzinfo=TRADING_ZONE).astimezone(UTC)
