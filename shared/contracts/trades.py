"""Events of trade management: a trade opened, its exit plan changed, partly closed, closed."""

from __future__ import annotations

import re
from typing import Annotated, Final
from uuid import UUID

from pydantic import Field

from shared.contracts.events import Event, register
from shared.contracts.exits import LegNumber, Quantity, Timestamp
from shared.contracts.topics import TRADES
from shared.contracts.vocabulary import ChargesStatus, CorporateActionKind, Direction, ExitReason, ProductType
from shared.exit_rules.plan import ExitPlan
from shared.exit_rules.prices import Price
from shared.money import Money

SYMBOL_PATTERN: Final = r"^[A-Z0-9]{2,10}:[A-Z0-9&_-](?:[A-Z0-9 .&_-]{0,38}[A-Z0-9.&_-])?$"
_IS_SYMBOL: Final = re.compile(SYMBOL_PATTERN)

Symbol = Annotated[str, Field(pattern=SYMBOL_PATTERN, examples=["NSE:INFY", "NSE:NIFTY 50", "CDS:USDINR26JAN83.25CE"])]
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
    """The trade."""
    symbol: Symbol
    """Exchange and trading symbol."""
    direction: Direction
    """LONG or SHORT, fixed at opening."""
    product_type: ProductType
    """The broker's product."""

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
    """The account of the position."""
    quantity: Quantity
    """Entered quantity."""
    entry_price: Price
    """Average entry price."""
    exit_plan: ExitPlan
    """The trade's exit rules."""
    entered_at: Timestamp
    """When the position was entered."""


@register
class TradeExitPlanChanged(TradeEvent):
    """The exit plan of an open trade was replaced."""

    user_broker_id: UserBrokerId
    """The account of its exit."""
    plan_version: Annotated[int, Field(ge=2)]
    """Raised by every change; a trade is opened with version 1."""
    exit_plan: ExitPlan
    """The whole plan from now on."""
    changed_at: Timestamp
    """Time of the change."""


@register
class TradeAdjusted(TradeEvent):
    """A split, a bonus issue or a rename changed an open trade, or was reversed; nothing was bought or sold.

    `symbol` is the old one, so the event follows the earlier ones of the trade.
    """

    user_broker_id: UserBrokerId
    """The account of the position."""
    action_id: UUID
    """The corporate action."""
    kind: CorporateActionKind
    """The kind of entry."""
    new_symbol: Symbol
    """The symbol from now on; the same but for a rename."""
    shares_before: Annotated[int, Field(ge=1)]
    """Old shares in the ratio."""
    shares_after: Annotated[int, Field(ge=1)]
    """New shares in the ratio; prices change by its inverse."""
    quantity: Quantity
    """The closed quantity, as filled, plus the open one."""
    open_quantity: Quantity
    """Open quantity from now on."""
    open_quantity_before: Quantity
    """Open quantity before."""
    entry_price: Price
    """Average entry price of the open quantity, rounded half up to four decimals."""
    plan_version: Annotated[int, Field(ge=2)]
    """Raised by the change."""
    exit_plan: ExitPlan
    """The whole plan from now on; its levels are rounded half up to the tick size."""
    effective_at: Timestamp
    """Ticks of the symbol with an earlier arrival have the old prices."""
    adjusted_at: Timestamp
    """Time of the change."""


@register
class TradePartiallyClosed(TradeEvent):
    """Part of a trade was closed; the rest can exit again."""

    user_broker_id: UserBrokerId
    """The account of the position."""
    exit_intent_id: UUID
    """The intent with the fills of this part."""
    quantity: int
    """Entered quantity."""
    closed_quantity: int
    """Quantity closed by this event."""
    open_quantity: int
    """Quantity still open."""
    exit_price: Money
    """Volume-weighted price of this part."""
    gross_pnl: Money
    """Profit or loss of this part before charges."""
    charges: Money | None
    """Estimated charges of this part; null if no schedule has rates for its days."""
    net_pnl: Money | None
    """`gross_pnl` less `charges`; null if these are unknown."""
    closed_at: Timestamp
    """When this part was closed."""
    exit_reason: ExitReason | None = None
    """The rule of this closure."""
    leg: LegNumber | None = None
    """The leg of a target ladder; null for an exit of the whole remainder."""


@register
class TradeClosed(TradeEvent):
    """A trade is closed; P&L over all of its fills."""

    user_broker_id: UserBrokerId
    """The account of the position."""
    exit_intent_id: UUID
    """The intent of the last closure."""
    quantity: int
    """Entered quantity."""
    entry_price: Money
    """Average entry price."""
    exit_price: Money
    """Volume-weighted exit price over all fills."""
    exit_reason: ExitReason
    """The rule of the last closure."""
    gross_pnl: Money
    """Profit or loss before charges."""
    charges: Money | None
    """Estimated charges of entry and exit; null if no schedule has rates for one of its days."""
    net_pnl: Money | None
    """`gross_pnl` less `charges`; null if these are unknown."""
    closed_at: Timestamp
    """When the trade was closed."""


@register
class TradeChargesChanged(TradeEvent):
    """Contract notes replaced charges of a closed trade; its other results stay."""

    user_broker_id: UserBrokerId
    """The account of the position."""
    gross_pnl: Money
    """Profit or loss before charges, as in `TradeClosed`."""
    charges: Money | None
    """All charges from now on; null while those of a leg are unknown."""
    charges_status: ChargesStatus
    """FINAL once contract notes gave the charges of entry and exit."""
    net_pnl: Money | None
    """`gross_pnl` less `charges`; null if these are unknown."""
    changed_at: Timestamp
    """Time of the change."""
