"""Broker port over the official Kite Connect v3 client."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Final, TypeVar

from kiteconnect import KiteConnect
from kiteconnect.exceptions import KiteException, TokenException

from services.exit_qualification.domain.market_facts import Quote
from services.exit_qualification.orders.brokers.kite.books import (
    a_list,
    read_fills,
    read_instruments,
    read_orders,
    read_positions,
    read_quotes,
    wire_price,
)
from services.exit_qualification.orders.brokers.kite.session import NotConnected
from services.exit_qualification.orders.brokers.port import (
    NO_ANSWER,
    TOKEN_EXPIRED,
    UNREACHABLE,
    Accepted,
    Ambiguous,
    BrokerFill,
    BrokerOrder,
    BrokerPosition,
    BrokerUnavailable,
    ExitOrder,
    ListedInstruments,
    NotAccepted,
    PlaceOutcome,
    StopOrder,
    TokenExpired,
)
from services.exit_qualification.orders.metrics import BROKER_ERRORS, timed_call

log = logging.getLogger(__name__)

MARKET_PROTECTION_AUTOMATIC: Final = -1
Answer = TypeVar("Answer")
_REFUSALS: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN})


class KiteBroker:
    """One account; safe to use from any thread.

    The official client is not thread-safe, so each call takes a client free of other calls. Clients, and with
    them their connections, are kept for the next calls.
    """

    def __init__(self, open_client: Callable[[], KiteConnect], on_token: Callable[[bool], None]) -> None:
        """Call `on_token` after each response with whether the broker accepts the access token."""
        self._open_client = open_client
        self._idle: deque[KiteConnect] = deque()
        self._on_token = on_token
        self._book_size = 0

    def place_market_exit(self, order: ExitOrder) -> PlaceOutcome:
        """Send an order once."""
        return self._place(order, {"order_type": KiteConnect.ORDER_TYPE_MARKET})

    def place_stop(self, stop: StopOrder) -> PlaceOutcome:
        """Send a stop order once."""
        return self._place(
            stop.order, {"order_type": KiteConnect.ORDER_TYPE_SLM, "trigger_price": wire_price(stop.trigger_price)}
        )

    def change_stop(self, order_id: str, quantity: int, trigger_price: Decimal) -> None:
        """Request other terms of a stop order."""
        self._asked(
            "modify",
            lambda client: client.modify_order(
                KiteConnect.VARIETY_REGULAR, order_id, quantity=quantity, trigger_price=wire_price(trigger_price)
            ),
        )

    def _place(self, order: ExitOrder, terms: Mapping[str, object]) -> PlaceOutcome:
        try:
            with timed_call("place"):
                order_id = self._send(order, terms)
        except Exception as error:  # noqa: BLE001  # whatever was raised, the order may be at the market
            self._note_token(error)
            outcome = outcome_of_error(error)
            log.warning("placing %s: %s", order.tag, outcome)
            return outcome
        self._on_token(True)
        if not order_id:
            return Ambiguous(NO_ANSWER, "the broker answered without an order id")
        return Accepted(str(order_id))

    def cancel(self, order_id: str) -> None:
        """Request the cancellation of an order."""
        self._asked("cancel", lambda client: client.cancel_order(KiteConnect.VARIETY_REGULAR, order_id))

    def order_by_tag(self, tag: str) -> BrokerOrder | None:
        """Return the order with a tag from today's book, or None."""
        return next((order for order in self.orders() if tag in order.tags), None)

    def order(self, order_id: str) -> BrokerOrder | None:
        """Return the last state of one order."""
        states = self._asked("order", lambda client: read_orders(a_list(client.order_history(order_id))))
        return next((state for state in reversed(states) if state.order_id == order_id), None)

    def fills_of(self, order_id: str) -> list[BrokerFill]:
        """Return the fills of one order."""
        return self._asked("order_trades", lambda client: read_fills(a_list(client.order_trades(order_id))))

    def orders(self) -> list[BrokerOrder]:
        """Return the order book of the day."""
        orders = self._asked("orders", lambda client: read_orders(a_list(client.orders())))
        self._book_size = len(orders)
        return orders

    @property
    def book_size(self) -> int:
        """Return the number of orders in the order book when it was last read; 0 before."""
        return self._book_size

    def trades(self) -> list[BrokerFill]:
        """Return the trade book of the day."""
        return self._asked("trades", lambda client: read_fills(a_list(client.trades())))

    def positions(self, *, delivery: bool) -> list[BrokerPosition]:
        """Return the net positions, and with `delivery` the holdings."""
        holdings = self._asked("holdings", lambda client: a_list(client.holdings())) if delivery else []
        return self._asked("positions", lambda client: read_positions(client.positions()["net"], holdings))

    @contextmanager
    def _client(self) -> Iterator[KiteConnect]:
        """Lend a client free of other calls; a client is dropped after a failed call, unless it was a refusal."""
        client = self._idle.pop() if self._idle else self._open_client()
        try:
            yield client
        except KiteException:
            self._idle.append(client)
            raise
        self._idle.append(client)

    def quotes(self, symbols: Sequence[str]) -> list[Quote]:
        """Return the full quotes of these symbols."""
        return self._asked("quote", lambda client: read_quotes(client.quote(list(symbols))))

    def instruments(self) -> ListedInstruments:
        """Return the instruments file of the day."""
        return self._asked("instruments", lambda client: read_instruments(a_list(client.instruments())))

    def _send(self, order: ExitOrder, terms: Mapping[str, object]) -> Any:
        with self._client() as client:
            return client.place_order(
                variety=KiteConnect.VARIETY_REGULAR,
                exchange=order.exchange,
                tradingsymbol=order.tradingsymbol,
                transaction_type=order.side.value,
                quantity=order.quantity,
                product=order.product_type.value,
                validity=KiteConnect.VALIDITY_DAY,
                tag=order.tag,
                market_protection=MARKET_PROTECTION_AUTOMATIC,
                **terms,
            )

    def _asked(self, call: str, ask: Callable[[KiteConnect], Answer]) -> Answer:
        try:
            with timed_call(call), self._client() as client:
                answer = ask(client)
        except Exception as error:  # errors of the client, of its session, of malformed answers
            BROKER_ERRORS.labels(call, type(error).__name__).inc()
            self._note_token(error)
            kind = TokenExpired if isinstance(error, TokenException) else BrokerUnavailable
            raise kind(f"{call}: {type(error).__name__}: {error}") from error
        self._on_token(True)
        return answer

    def _note_token(self, error: Exception) -> None:
        """Report a refused token; other broker errors give no information about it."""
        if isinstance(error, TokenException):
            self._on_token(False)


def outcome_of_error(error: Exception) -> NotAccepted | Ambiguous:
    """Return the outcome of an order after this error in its placing.

    After a rate limit (429, raised as NetworkException) or an expired token nothing was accepted; without a connection
    nothing was sent. Every other error is ambiguous.
    """
    BROKER_ERRORS.labels("place", type(error).__name__).inc()
    if isinstance(error, NotConnected):
        return NotAccepted(f"{type(error).__name__}: {error}", UNREACHABLE, was_sent=False)
    if not isinstance(error, KiteException):
        return Ambiguous(NO_ANSWER, f"{type(error).__name__}: {error}")
    text = str(error)
    if isinstance(error, TokenException):
        return NotAccepted(f"{type(error).__name__}: {text}", TOKEN_EXPIRED)
    if error.code == HTTPStatus.TOO_MANY_REQUESTS:
        return NotAccepted(f"{type(error).__name__}: {text}")
    refused = error.code in _REFUSALS and "timed out" not in text.lower()
    return Ambiguous(type(error).__name__ if refused else NO_ANSWER, text, refused)
