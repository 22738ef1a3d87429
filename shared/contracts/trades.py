"""Events of trade management: a trade opened, partly closed, closed; and the plan it exits by."""

from __future__ import annotations

import re
from typing import Annotated, Final
from uuid import UUID

from pydantic import Field

from shared.contracts.events import Event, register
from shared.contracts.exits import Quantity, Timestamp
from shared.contracts.topics import TRADES
from shared.contracts.vocabulary import Direction, ExitReason, ProductType
from shared.exit_rules.plan import ExitPlan
from shared.exit_rules.prices import Price
from shared.money import Money

_SYMBOL: Final = r"^[A-Z0-9]{2,10}:[A-Z0-9&_-](?:[A-Z0-9 .&_-]{0,38}[A-Z0-9.&_-])?$"
_IS_SYMBOL: Final = re.compile(_SYMBOL)

Symbol = Annotated[str, Field(pattern=_SYMBOL, examples=["NSE:INFY", "NSE:NIFTY 50", "CDS:USDINR26JAN83.25CE"])]
"""An exchange and its trading symbol, as brokers' instrument files have them."""
UserBrokerId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$", examples=["paper"])]


def is_symbol(text: str) -> bool:
    """Return whether a text is a `Symbol`."""
    return _IS_SYMBOL.fullmatch(text) is not None


class TradeEvent(Event):
    """An event about a trade, keyed by its symbol to share a partition with the symbol's ticks."""

    source = "/exitflow/trade-management"
    topic = TRADES

    trade_id: UUID
    symbol: Symbol
    direction: Direction
    product_type: ProductType

    @property
    def key(self) -> str:
        """Return the symbol."""
        return self.symbol

    @property
    def subject(self) -> str:
        """Return the trade's id."""
        return str(self.trade_id)


@register
class TradeOpened(TradeEvent):
    """A trade was opened and may exit from now on."""

    user_broker_id: UserBrokerId
    quantity: Quantity
    entry_price: Price
    exit_plan: ExitPlan
    entered_at: Timestamp


@register
class TradePartiallyClosed(TradeEvent):
    """Part of a trade was closed; the rest can exit again."""

    user_broker_id: UserBrokerId
    exit_intent_id: UUID
    quantity: int
    closed_quantity: int
    open_quantity: int
    exit_price: Money
    gross_pnl: Money
    charges: Money
    net_pnl: Money
    closed_at: Timestamp


@register
class TradeClosed(TradeEvent):
    """A trade is closed; P&L over all of its fills."""

    user_broker_id: UserBrokerId
    exit_intent_id: UUID
    quantity: int
    entry_price: Money
    exit_price: Money
    exit_reason: ExitReason
    gross_pnl: Money
    charges: Money
    net_pnl: Money
    closed_at: Timestamp
