"""Request and response models of trade-api; money as decimal strings, times RFC 3339 in UTC."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from services.trade_management.domain.trade import StoredTrade, Trade
from services.trade_management.storage.pnl import PnlGroup
from shared.clock import Clock, trading_day
from shared.contracts.exits import Quantity, Timestamp
from shared.contracts.trades import Symbol, UserBrokerId
from shared.contracts.vocabulary import ChargesStatus, Direction, ExitReason, ProductType, TradeStatus
from shared.exit_rules.plan import ExitPlan, PlanFields
from shared.exit_rules.prices import Price
from shared.http.fields import Reason
from shared.ids import new_id
from shared.money import Money

AllowImmediate = Annotated[
    bool, Field(strict=True, description="take a plan already met at the last price; it exits at once")
]


class OpenTrade(BaseModel):
    """Trade to open. `entered_at` defaults to now."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    symbol: Symbol
    direction: Direction
    product_type: ProductType
    quantity: Annotated[Quantity, Field(strict=True)]
    entry_price: Price
    user_broker_id: UserBrokerId
    exit_plan: ExitPlan
    entered_at: Timestamp | None = None
    allow_immediate: AllowImmediate = False

    def trade(self, clock: Clock) -> Trade:
        """Return the requested trade with a new id."""
        entered_at = self.entered_at or clock.now()
        return Trade(
            trade_id=new_id(),
            symbol=self.symbol,
            direction=self.direction,
            product_type=self.product_type,
            user_broker_id=self.user_broker_id,
            quantity=self.quantity,
            open_quantity=self.quantity,
            entry_price=self.entry_price,
            entered_at=entered_at,
            entered_on=trading_day(entered_at),
        )


class ChangePlan(PlanFields):
    """Rules to replace. A given rule replaces the old one whole, null removes it, and others stay."""

    allow_immediate: AllowImmediate = False
    reason_note: Reason | None = None


class TradeView(BaseModel):
    """Trade; fields known only after closing are null before. `exit_plan` has the rules as given.

    The charges of a closed trade are null where they are UNKNOWN: no schedule has rates for one of its days.
    """

    model_config = ConfigDict(from_attributes=True)

    trade_id: UUID
    status: TradeStatus
    symbol: str
    direction: Direction
    product_type: ProductType
    user_broker_id: str
    quantity: int
    open_quantity: int
    entry_price: Money
    exit_plan: dict[str, Any]
    plan_version: int
    entered_at: Timestamp
    exit_price: Money | None
    exit_reason: ExitReason | None
    gross_pnl: Money | None
    charges: Money | None
    charges_status: ChargesStatus | None
    net_pnl: Money | None
    closed_at: Timestamp | None
    exit_intent_id: UUID | None
    created_at: Timestamp
    updated_at: Timestamp

    @classmethod
    def of(cls, trade: StoredTrade) -> Self:
        """Return the view of a stored trade."""
        return cls.model_validate(trade)


class TradePage(BaseModel):
    """Page of trades, newest first; `next` is the cursor of the next page."""

    items: list[TradeView]
    next: str | None


class PnlSums(BaseModel):
    """Totals over `count` closed trades; net P&L is gross P&L less the known charges."""

    count: int
    gross_pnl: Money
    charges: Money
    net_pnl: Money
    unknown_charges: int = Field(description="trades among them with unknown charges")
    last_closed_at: Timestamp | None = Field(description="when the last of them closed; null without any")


class PnlGroupView(PnlSums):
    """Totals of one day, symbol, account, reason or product."""

    group_by: PnlGroup = Field(description="kind of the group")
    group: str


class PnlView(PnlSums):
    """Totals over `count` closed trades, with the filters of the request; `groups` is empty without `group_by`."""

    day: date | None
    symbol: str | None
    user_broker_id: str | None
    exit_reason: ExitReason | None
    product_type: ProductType | None
    group_by: PnlGroup | None = Field(description="kind of the groups; null if they are of several kinds")
    groups: list[PnlGroupView]
