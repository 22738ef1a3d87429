"""Broker interface of exits. Every way a call can end is a separate value; a raised error decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.market_facts import Quote
from services.exit_qualification.domain.order_terms import OrderSide, reducing_side
from services.exit_qualification.domain.outcome import OrderState
from services.exit_qualification.domain.protective_stop import ProtectiveStop
from services.exit_qualification.domain.switches import UserBroker
from shared.contracts.instruments import Instrument
from shared.contracts.vocabulary import ProductType
from shared.errors import Unavailable


class BrokerUnavailable(Unavailable):
    """Missing or unreadable broker response; no conclusion can be drawn from it."""

    code = "broker_unavailable"


class BrokerNotSupported(BrokerUnavailable):
    """There is no adapter for the account's broker; an operator must change the account."""

    code = "broker_not_supported"


class TokenExpired(BrokerUnavailable):
    """Refusal of the account's access token; an operator must provide a new one."""

    code = "token_expired"


@dataclass(frozen=True, slots=True)
class ExitOrder:
    """MARKET order of validity DAY for reducing a position; `tag` identifies it in the books."""

    tag: str
    exchange: str
    tradingsymbol: str
    side: OrderSide
    quantity: int
    product_type: ProductType


def exit_order(intent: ExitIntent) -> ExitOrder:
    """Return the order of an intent."""
    exchange, _, tradingsymbol = intent.symbol.partition(":")
    side = reducing_side(intent.direction)
    return ExitOrder(intent.client_order_id, exchange, tradingsymbol, side, intent.quantity, intent.product_type)


@dataclass(frozen=True, slots=True)
class StopOrder:
    """Order held by the broker until the market reaches its trigger, then a MARKET order of validity DAY."""

    order: ExitOrder
    trigger_price: Decimal


def stop_order(stop: ProtectiveStop) -> StopOrder:
    """Return the order of a protective stop."""
    exchange, _, tradingsymbol = stop.symbol.partition(":")
    side = reducing_side(stop.direction)
    order = ExitOrder(stop.client_order_id, exchange, tradingsymbol, side, stop.quantity, stop.product_type)
    return StopOrder(order, stop.trigger_price)


TOKEN_EXPIRED = "TOKEN_EXPIRED"  # noqa: S105  # a code, no password
"""Error code of an intent waiting because the broker refuses the account's access token."""

NOT_ACCEPTED = "NOT_ACCEPTED"
"""Error code of an intent not accepted by the broker, e.g. because of its rate limit."""

HELD_BACK = "HELD_BACK"
"""Error code of an intent stopped by an operator's switch after its sender had claimed it."""

NOT_SUPPORTED = "BROKER_NOT_SUPPORTED"
"""Error code of an intent waiting because there is no adapter for the broker of its account."""

UNREACHABLE = "BROKER_UNREACHABLE"
"""Error code of an intent with an unsent order: no connection was made."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The broker has the order under this id. An accepted order is not necessarily filled."""

    order_id: str


@dataclass(frozen=True, slots=True)
class NotAccepted:
    """No order was made: it may be sent again after a wait.

    Attributes
    ----------
    reason, code:
        Shown on the intent.
    was_sent:
        False if no request was sent: no broker's book can contain the order.
    not_before:
        When it may be sent again; None: after a back-off.
    """

    reason: str
    code: str = NOT_ACCEPTED
    was_sent: bool = True
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """The order may or may not exist.

    Attributes
    ----------
    code:
        The broker's error name; `NO_ANSWER` without one.
    refused:
        Whether the error looks like a definite refusal: one complete read without the order then proves it.
    """

    code: str
    message: str
    refused: bool = False


PlaceOutcome = Accepted | NotAccepted | Ambiguous

NO_ANSWER = "NO_ANSWER"
"""Error code of an intent with an order neither accepted nor refused by the broker."""


@dataclass(frozen=True, slots=True)
class BrokerOrder:
    """Order in the broker's book of the day.

    Attributes
    ----------
    tags:
        All its tags.
    quantity:
        The order's quantity now; somebody may have changed it at the broker. None if the broker does not say.
    trigger_price:
        Of a stop order, in rupees.
    awaits_trigger:
        Whether a stop order waits for the market to reach its trigger.
    was_triggered:
        Whether a stop order is at the market or filled. Neither is true while the broker checks or changes it.
    """

    order_id: str
    tags: frozenset[str]
    state: OrderState
    status_message: str | None
    filled_quantity: int
    quantity: int | None = None
    trigger_price: Decimal | None = None
    awaits_trigger: bool = False
    was_triggered: bool = False


@dataclass(frozen=True, slots=True)
class BrokerFill:
    """One execution in the broker's trade book of the day. Price in rupees, time aware and UTC.

    Symbol, product and side are empty if the broker does not say.
    """

    order_id: str
    trade_id: str
    exchange: str
    quantity: int
    price: Decimal
    filled_at: datetime
    symbol: str = ""
    product_type: str = ""
    side: str = ""


@dataclass(frozen=True, slots=True)
class BrokerPosition:
    """Net position of the account, with delivered shares of earlier days; a negative quantity is short."""

    symbol: str
    product_type: str
    quantity: int


@dataclass(frozen=True, slots=True)
class ListedInstruments:
    """Instruments in a broker's file; `skipped` counts rows not of our kinds."""

    instruments: tuple[Instrument, ...]
    skipped: int


class BrokerPort(Protocol):
    """One account at one broker; safe to use from any thread."""

    def place_market_exit(self, order: ExitOrder) -> PlaceOutcome:
        """Send an order once. Never raises for failures of the broker or the network."""
        ...

    def place_stop(self, stop: StopOrder) -> PlaceOutcome:
        """Send a stop order once. Never raises for failures of the broker or the network."""
        ...

    def change_stop(self, order_id: str, quantity: int, trigger_price: Decimal) -> None:
        """Request other terms of a stop order; the result is read from the book.

        Raises
        ------
        BrokerUnavailable
            The broker refused the call or did not answer.
        """
        ...

    def cancel(self, order_id: str) -> None:
        """Request the cancellation of an order; its result is read from the book.

        Raises
        ------
        BrokerUnavailable
            The broker refused the call or did not answer.
        """
        ...

    def order_by_tag(self, tag: str) -> BrokerOrder | None:
        """Return the order with a tag from today's complete book, or None.

        Raises
        ------
        BrokerUnavailable
            The book could not be read.
        """
        ...

    def order(self, order_id: str) -> BrokerOrder | None:
        """Return the last state of one order, or None if the broker does not show it.

        Raises
        ------
        BrokerUnavailable
            The order could not be read.
        """
        ...

    def fills_of(self, order_id: str) -> list[BrokerFill]:
        """Return the fills of one order.

        Raises
        ------
        BrokerUnavailable
            They could not be read completely.
        """
        ...

    def orders(self) -> list[BrokerOrder]:
        """Return the complete order book of the day.

        Raises
        ------
        BrokerUnavailable
            The book could not be read completely.
        """
        ...

    @property
    def book_size(self) -> int:
        """Return the number of orders in the order book when it was last read; 0 before."""
        ...

    def trades(self) -> list[BrokerFill]:
        """Return the complete trade book of the day.

        Raises
        ------
        BrokerUnavailable
            The book could not be read completely.
        """
        ...

    def positions(self, *, delivery: bool) -> list[BrokerPosition]:
        """Return the net positions; with `delivery`, shares of earlier days too, at the cost of another call.

        Raises
        ------
        BrokerUnavailable
            They could not be read completely.
        """
        ...

    def quotes(self, symbols: Sequence[str]) -> list[Quote]:
        """Return the quotes of these symbols, at most 500; omit those unknown to the broker.

        Raises
        ------
        BrokerUnavailable
            The quotes could not be read.
        """
        ...

    def instruments(self) -> ListedInstruments:
        """Return every instrument listed by the broker today.

        Raises
        ------
        BrokerUnavailable
            The list could not be read completely.
        """
        ...


class Brokers(Protocol):
    """Source of broker ports."""

    def port(self, user_broker: UserBroker) -> BrokerPort:
        """Return the port to a user broker.

        Raises
        ------
        BrokerNotSupported
            There is no adapter for its broker.
        BrokerUnavailable
            The broker has no credentials, or its address is not allowed.
        """
        ...
