"""What exits need of a broker. A raised error is no outcome: every way a call can end is a value of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.order_terms import OrderSide, reducing_side
from services.exit_qualification.domain.outcome import OrderState
from services.exit_qualification.domain.switches import UserBroker
from shared.contracts.vocabulary import ProductType
from shared.errors import Unavailable


class BrokerUnavailable(Unavailable):
    """The broker did not answer, or not in a way that can be read; nothing may be concluded from it."""

    code = "broker_unavailable"


class TokenExpired(BrokerUnavailable):
    """The broker refuses the account's access token; an operator must provide a new one."""

    code = "token_expired"


@dataclass(frozen=True, slots=True)
class ExitOrder:
    """A MARKET order of validity DAY that reduces a position; `tag` is how it is found again."""

    tag: str
    exchange: str
    tradingsymbol: str
    side: OrderSide
    quantity: int
    product_type: ProductType


def exit_order(intent: ExitIntent) -> ExitOrder:
    """The order of an intent."""
    exchange, _, tradingsymbol = intent.symbol.partition(":")
    side = reducing_side(intent.direction)
    return ExitOrder(intent.client_order_id, exchange, tradingsymbol, side, intent.quantity, intent.product_type)


TOKEN_EXPIRED = "TOKEN_EXPIRED"  # noqa: S105  # a code, no password
"""Error code of an intent that waits because the broker refuses the account's access token."""

NOT_ACCEPTED = "NOT_ACCEPTED"
"""Error code of an intent that was not taken, e.g. because of the broker's rate limit."""

HELD_BACK = "HELD_BACK"
"""Error code of an intent that an operator's switch stopped after its sender had claimed it."""

UNREACHABLE = "BROKER_UNREACHABLE"
"""Error code of an intent whose order could not be sent: no connection was made."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The broker has the order under this id. Accepted is not filled."""

    order_id: str


@dataclass(frozen=True, slots=True)
class NotAccepted:
    """Certainly no order was made: it may be sent again after a wait.

    Attributes
    ----------
    reason, code:
        Shown on the intent.
    was_sent:
        False if not even a request went out, so that no broker's book can have it.
    """

    reason: str
    code: str = NOT_ACCEPTED
    was_sent: bool = True


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """There may or may not be an order.

    Attributes
    ----------
    code:
        The broker's name for the error; `NO_ANSWER` if it gave none.
    refused:
        Whether it reads like a definite refusal, so that one complete read without the order proves it.
    """

    code: str
    message: str
    refused: bool = False


PlaceOutcome = Accepted | NotAccepted | Ambiguous

NO_ANSWER = "NO_ANSWER"
"""Error code of an intent whose order the broker neither accepted nor refused."""


@dataclass(frozen=True, slots=True)
class BrokerOrder:
    """An order in the broker's book of the day. `tags` are all it is marked with."""

    order_id: str
    tags: frozenset[str]
    state: OrderState
    status_message: str | None
    filled_quantity: int


@dataclass(frozen=True, slots=True)
class BrokerFill:
    """One execution in the broker's trade book of the day. Price in rupees, time aware and UTC."""

    order_id: str
    trade_id: str
    exchange: str
    quantity: int
    price: Decimal
    filled_at: datetime


class BrokerPort(Protocol):
    """One account at one broker. An instance belongs to the thread that asked for it."""

    def place_market_exit(self, order: ExitOrder) -> PlaceOutcome:
        """Send an order, once. Never raises for what the broker or the network does."""
        ...

    def cancel(self, order_id: str) -> None:
        """Ask for the end of an order; whether it ended is read from the book.

        Raises
        ------
        BrokerUnavailable
            Refused or not answered.
        """
        ...

    def order_by_tag(self, tag: str) -> BrokerOrder | None:
        """The order that carries a tag, if today's complete book has one.

        Raises
        ------
        BrokerUnavailable
            The book could not be read.
        """
        ...

    def orders(self) -> list[BrokerOrder]:
        """The complete order book of the day.

        Raises
        ------
        BrokerUnavailable
            It could not be read, or not whole.
        """
        ...

    def trades(self) -> list[BrokerFill]:
        """The complete trade book of the day.

        Raises
        ------
        BrokerUnavailable
            It could not be read, or not whole.
        """
        ...


class Brokers(Protocol):
    """Where ports come from."""

    def port(self, user_broker: UserBroker) -> BrokerPort:
        """The calling thread's port to a user broker.

        Raises
        ------
        BrokerUnavailable
            There are no credentials for it, or its address is not one that they may be sent to.
        """
        ...
