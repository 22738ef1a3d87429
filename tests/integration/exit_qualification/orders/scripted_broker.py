"""A broker in memory under a test's control; it passes the same contract as the Kite adapter."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from kiteconnect import exceptions as kite_exceptions

from services.exit_qualification.domain.market_facts import Quote
from services.exit_qualification.domain.order_terms import OrderSide
from services.exit_qualification.domain.outcome import OrderState
from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.orders.brokers.kite.broker import outcome_of_error
from services.exit_qualification.orders.brokers.port import (
    NO_ANSWER,
    Accepted,
    Ambiguous,
    BrokerFill,
    BrokerOrder,
    BrokerPosition,
    BrokerUnavailable,
    ExitOrder,
    ListedInstruments,
    PlaceOutcome,
    StopOrder,
)
from shared.clock import SystemClock
from shared.contracts.instruments import Instrument
from shared.contracts.vocabulary import ProductType


@dataclass
class _Booked:
    """An order, how much of it may fill by itself, and whether the books show it yet."""

    request: ExitOrder
    shown: BrokerOrder
    may_fill: int


@dataclass
class ScriptedBroker:
    """One account for all threads; its own factory of ports. `placed` counts orders in the book.

    `unanswered` are cancels sent while it was deaf to them.
    """

    is_down: bool = False
    is_blind: bool = False
    is_deaf_to_cancels: bool = False
    is_deaf_to_changes: bool = False
    changes: int = 0
    reads: int = 0
    on_place: Callable[[], None] = lambda: None
    on_read: Callable[[], None] = lambda: None
    cancels: list[str] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)
    _orders: dict[str, _Booked] = field(default_factory=dict)
    _fills: list[BrokerFill] = field(default_factory=list)
    _prices: dict[str, Decimal] = field(default_factory=dict)
    _held: Counter[tuple[str, str]] = field(default_factory=Counter)
    _faults: deque[dict[str, Any]] = field(default_factory=deque)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def port(self, user_broker: UserBroker) -> ScriptedBroker:
        """Itself, whoever asks."""
        return self

    # requests of a test

    def price(self, symbol: str, price: str) -> None:
        """The market trades a symbol at a price."""
        with self._lock:
            self._prices[symbol] = Decimal(price)
            for order_id in list(self._orders):
                self._fill_what_may(order_id)

    def fault(self, effect: dict[str, Any], count: int = 1) -> None:
        """The next `count` orders meet an effect, in the words of the paper broker's control surface."""
        self._faults.extend([effect] * count)

    def enter(self, symbol: str, product: ProductType, quantity: int) -> None:
        """The account enters a position; a negative quantity is short."""
        with self._lock:
            self._held[symbol, product.value] += quantity

    def trade_by_hand(self, order: ExitOrder, price: str) -> str:
        """Somebody places an order in another session of the account, and it fills; its id."""
        with self._lock:
            order_id = self._book(order, {"kind": "partial_fill", "quantity": 0})
            self._fill(self._orders[order_id], order.quantity, Decimal(price))
            return order_id

    def fill(self, order_id: str, quantity: int, price: str) -> None:
        """Fill an order, whatever its state."""
        with self._lock:
            self._fill(self._orders[order_id], quantity, Decimal(price))

    def resize(self, order_id: str, quantity: int) -> None:
        """Somebody changes the quantity of an order at the broker; one with as much filled is complete."""
        with self._lock:
            filled = self._orders[order_id].shown.filled_quantity
            state = OrderState.COMPLETE if filled >= quantity else OrderState.WORKING
            self._set(order_id, quantity=quantity, state=state)

    def end(self, order_id: str) -> None:
        """The broker cancels an order by itself."""
        with self._lock:
            self._set(order_id, state=OrderState.CANCELLED, awaits_trigger=False)

    def forget(self) -> None:
        """The books are empty, as in the morning."""
        with self._lock:
            self._orders.clear()
            self._fills.clear()

    def hide_fills(self) -> list[BrokerFill]:
        """The trade book falls behind the order book; the hidden fills."""
        with self._lock:
            hidden, self._fills = self._fills, []
            return hidden

    def show_fills(self, fills: list[BrokerFill]) -> None:
        """It catches up."""
        with self._lock:
            self._fills = fills

    @property
    def placed(self) -> list[ExitOrder]:
        """Every order in the book."""
        return [booked.request for booked in self._orders.values()]

    @property
    def order_ids(self) -> list[str]:
        """Their ids."""
        return list(self._orders)

    # the port

    def place_market_exit(self, order: ExitOrder) -> PlaceOutcome:
        """Book an order, or do as the next fault says."""
        return self._placed(order, None)

    def place_stop(self, stop: StopOrder) -> PlaceOutcome:
        """Book an order to wait for its trigger, or do as the next fault says."""
        return self._placed(stop.order, stop.trigger_price)

    def change_stop(self, order_id: str, quantity: int, trigger_price: Decimal) -> None:
        """Change a waiting stop order."""
        with self._lock:
            if self.is_deaf_to_changes or not self._orders[order_id].shown.awaits_trigger:
                raise BrokerUnavailable("modify: OrderException: it does not wait")
            self.changes += 1
            self._orders[order_id].may_fill = quantity
            self._set(order_id, quantity=quantity, trigger_price=trigger_price)

    def _placed(self, order: ExitOrder, trigger_price: Decimal | None) -> PlaceOutcome:
        self.on_place()
        with self._lock:
            fault = self._faults.popleft() if self._faults else {}
            if fault.get("kind") == "refuse":
                return outcome_of_error(_kite_error(fault))
            order_id = self._book(order, fault, trigger_price)
            if fault.get("kind") == "drop_answer":
                return Ambiguous(NO_ANSWER, "the connection was cut")
            return Accepted(order_id)

    def cancel(self, order_id: str) -> None:
        """Cancel a working order."""
        with self._lock:
            if self.is_deaf_to_cancels:
                self.unanswered.append(order_id)
                raise BrokerUnavailable("cancel: ReadTimeout")
            self.cancels.append(order_id)
            booked = self._orders.get(order_id)
            if booked is None or booked.shown.state is not OrderState.WORKING:
                raise BrokerUnavailable("cancel: OrderException: it is not working")
            self._set(order_id, state=OrderState.CANCELLED, awaits_trigger=False)

    def order_by_tag(self, tag: str) -> BrokerOrder | None:
        """The order with a tag."""
        return next((order for order in self.orders() if tag in order.tags), None)

    def order(self, order_id: str) -> BrokerOrder | None:
        """One order."""
        return next((order for order in self.orders() if order.order_id == order_id), None)

    def fills_of(self, order_id: str) -> list[BrokerFill]:
        """The fills of one order."""
        return [fill for fill in self.trades() if fill.order_id == order_id]

    def orders(self) -> list[BrokerOrder]:
        """The order book."""
        self.reads += 1
        if self.is_down:
            raise BrokerUnavailable("orders: ConnectionError")
        with self._lock:
            return [] if self.is_blind else [booked.shown for booked in self._orders.values()]

    @property
    def book_size(self) -> int:
        """How many orders the order book has."""
        return len(self._orders)

    def trades(self) -> list[BrokerFill]:
        """The trade book."""
        with self._lock:
            fills = [] if self.is_blind else list(self._fills)
        self.on_read()
        return fills

    def positions(self, *, delivery: bool) -> list[BrokerPosition]:  # all products are in one place
        """The position after all fills."""
        if self.is_down:
            raise BrokerUnavailable("positions: down")
        with self._lock:
            return [BrokerPosition(*key, quantity) for key, quantity in self._held.items()]

    def quotes(self, symbols: Sequence[str]) -> list[Quote]:
        """The last prices of these symbols."""
        if self.is_down:
            raise BrokerUnavailable("quotes: down")
        return [Quote(symbol, self._prices[symbol]) for symbol in symbols if symbol in self._prices]

    def instruments(self) -> ListedInstruments:
        """One instrument."""
        if self.is_down:
            raise BrokerUnavailable("instruments: down")
        return ListedInstruments((Instrument(symbol="NSE:INFY", tick_size=Decimal("0.05"), lot_size=1),), 0)

    def _book(self, order: ExitOrder, fault: dict[str, Any], trigger_price: Decimal | None = None) -> str:
        order_id = str(len(self._orders) + 1)
        rejected = fault.get("kind") == "reject"
        state = OrderState.REJECTED if rejected else OrderState.WORKING
        message = fault.get("message") if rejected else None
        shown = BrokerOrder(order_id, frozenset({order.tag} - {""}), state, message, 0, order.quantity)
        if trigger_price is not None and not rejected:
            shown = replace(shown, trigger_price=trigger_price, awaits_trigger=True)
        may_fill = fault["quantity"] if fault.get("kind") == "partial_fill" else order.quantity
        self._orders[order_id] = _Booked(order, shown, may_fill)
        self._fill_what_may(order_id)
        return order_id

    def _fill_what_may(self, order_id: str) -> None:
        booked = self._orders[order_id]
        price = self._prices.get(f"{booked.request.exchange}:{booked.request.tradingsymbol}")
        if booked.shown.awaits_trigger:
            trigger, sells = booked.shown.trigger_price, booked.request.side is OrderSide.SELL
            if price is None or trigger is None or (price > trigger if sells else price < trigger):
                return
            self._set(order_id, awaits_trigger=False, was_triggered=True)
        quantity = booked.may_fill - booked.shown.filled_quantity
        if price is not None and quantity > 0 and booked.shown.state is OrderState.WORKING:
            self._fill(booked, quantity, price)

    def _fill(self, booked: _Booked, quantity: int, price: Decimal) -> None:
        filled_at = SystemClock().now() + timedelta(microseconds=len(self._fills))
        order_id, asked = booked.shown.order_id, booked.request
        symbol, product = f"{asked.exchange}:{asked.tradingsymbol}", asked.product_type.value
        trade_id = str(len(self._fills) + 1)
        self._fills.append(
            BrokerFill(
                order_id, trade_id, asked.exchange, quantity, price, filled_at, symbol, product, asked.side.value
            )
        )
        self._held[symbol, product] += quantity if asked.side is OrderSide.BUY else -quantity
        total = booked.shown.filled_quantity + quantity
        ended = booked.shown.state is not OrderState.WORKING
        complete = total >= (booked.shown.quantity or 0) and not ended
        state = OrderState.COMPLETE if complete else booked.shown.state
        self._set(order_id, filled_quantity=total, state=state)

    def _set(self, order_id: str, **changes: Any) -> None:
        booked = self._orders[order_id]
        booked.shown = replace(booked.shown, **changes)


def _kite_error(fault: dict[str, Any]) -> Exception:
    """The official client's error for a refusal."""
    kind = getattr(kite_exceptions, fault["error_type"], kite_exceptions.GeneralException)
    text = fault.get("message", "no")
    status = fault.get("http_status")
    error: Exception = kind(text) if status is None else kind(text, code=status)
    return error
