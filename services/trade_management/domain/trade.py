"""Trades and the checks at their opening."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, Protocol
from uuid import UUID

from msgspec import Struct

from shared.contracts.exchanges import DELIVERY_EXCHANGES, DERIVATIVE_EXCHANGES
from shared.contracts.vocabulary import ChargesStatus, Direction, ExitReason, ProductType, TradeStatus
from shared.errors import Conflict, InvalidInput
from shared.money import money_text

MOST_VALUE = Decimal(10) ** 13
"""Rupees; an order's value stays below it, so every sum fits NUMERIC(18,4)."""

CLOCK_SKEW = timedelta(seconds=60)
"""Tolerance for a caller's clock ahead of ours."""


class PlanContradiction(InvalidInput):
    """Exit plan contradicting the trade's direction."""

    code = "plan_contradiction"


class TradeNotOpen(Conflict):
    """Change of an already closed trade."""

    code = "trade_closed"


class WouldExitNow(Conflict):
    """Exit plan already met at the last price."""

    code = "would_exit_now"


class ShortDelivery(InvalidInput):
    """Short sale with a delivery product: only owned shares can be delivered."""

    code = "short_delivery"


class WrongProduct(InvalidInput):
    """Product not offered by the symbol's exchange: its orders would be rejected."""

    code = "wrong_product"


class WithoutExit(InvalidInput):
    """Quantity no exit order can have: the exchange would refuse it."""

    code = "quantity_without_exit"


class Plan(Protocol):
    """Interface of an exit plan needed at opening."""

    def contradictions(self, direction: Direction, entry_price: Decimal) -> list[str]:
        """Return the plan's contradictions with this direction and entry; empty if there are none."""
        ...

    def change_contradictions(self, before: Any, direction: Direction, entry_price: Decimal) -> list[str]:
        """Return why an open trade with the plan `before` cannot take this plan; empty if it can."""
        ...

    def met_by(self, price: Decimal, direction: Direction, entry_price: Decimal) -> list[str]:
        """Return the rules met by a market price in rupees; empty if the plan does not exit at once."""
        ...

    def size_contradictions(self, quantity: int, lot: int = 1) -> list[str]:
        """Return the contradictions with the trade's quantity or lot size; empty if none."""
        ...

    def filled_leg_contradictions(self, before: Any, filled: Mapping[int, int]) -> list[str]:
        """Return why legs with fills, here with their quantity, cannot change from the plan `before`."""
        ...

    def off_tick(self, tick_size: Decimal) -> list[str]:
        """Return the prices off the grid of a tick size in rupees."""
        ...


class Trade(Struct, frozen=True):
    """Entered position. Prices in rupees; the direction is stored at opening and never derived later.

    Attributes
    ----------
    entered_on:
        Trading day of `entered_at`.
    open_quantity:
        Quantity not booked by a closure yet; 0 if and only if the trade is CLOSED.
    """

    trade_id: UUID
    symbol: str
    direction: Direction
    product_type: ProductType
    user_broker_id: str
    quantity: int
    open_quantity: int
    entry_price: Decimal
    entered_at: datetime
    entered_on: date
    status: TradeStatus = TradeStatus.OPEN

    @property
    def is_whole(self) -> bool:
        """Return whether nothing of the trade is closed: then it has neither fills nor closures."""
        return self.open_quantity == self.quantity

    @property
    def entry_value(self) -> Decimal:
        """Return rupees paid or received at entry."""
        return self.entry_price * self.quantity


class StoredTrade(Trade, frozen=True, kw_only=True):
    """Trade with its plan and its result, as it was read; the result is None until the trade is closed.

    Attributes
    ----------
    exit_plan:
        The rules as given, as JSON.
    plan_version:
        Number of the plan's last change; 1 is the plan at the opening.
    gross_pnl, charges, net_pnl:
        Rupees, over all closures; charges and net P&L stay None if the charges are unknown.
    exit_intent_id:
        The intent of the last closure.
    """

    exit_plan: dict[str, Any]
    plan_version: int
    exit_price: Decimal | None
    exit_reason: ExitReason | None
    gross_pnl: Decimal | None
    charges: Decimal | None
    net_pnl: Decimal | None
    closed_at: datetime | None
    exit_intent_id: UUID | None
    created_at: datetime
    updated_at: datetime
    charges_final: bool = False

    @property
    def charges_status(self) -> ChargesStatus | None:
        """Return the origin of the charges; None while the trade is open."""
        if self.status is TradeStatus.OPEN:
            return None
        if self.charges is None:
            return ChargesStatus.UNKNOWN
        return ChargesStatus.FINAL if self.charges_final else ChargesStatus.ESTIMATED


def check_opening(trade: Trade, plan: Plan, now: datetime, lot: int = 1) -> None:
    """Reject an invalid trade; its plan's legs must be sized, in lots of the symbol.

    Raises
    ------
    ShortDelivery
        SHORT with product CNC.
    WrongProduct
        CNC of a derivative, or NRML of an equity.
    PlanContradiction
        The plan contradicts the direction or the quantity; `details["contradictions"]` lists why.
    InvalidInput
        The entry time is in the future, or the value exceeds the limit.
    """
    if trade.direction is Direction.SHORT and trade.product_type is ProductType.CNC:
        raise ShortDelivery("a SHORT trade cannot be CNC, because only owned shares can be delivered; use MIS")
    _check_product(trade)
    if trade.entry_value >= MOST_VALUE:
        raise InvalidInput(f"quantity times entry_price must be below {MOST_VALUE}")
    if trade.entered_at > now + CLOCK_SKEW:
        raise InvalidInput("entered_at is in the future")
    _refuse(plan.contradictions(trade.direction, trade.entry_price) + plan.size_contradictions(trade.quantity, lot))


def _check_product(trade: Trade) -> None:
    exchange = trade.symbol.partition(":")[0]
    if trade.product_type is ProductType.CNC and exchange in DERIVATIVE_EXCHANGES:
        raise WrongProduct(f"{exchange} has no delivery; use NRML or MIS instead of CNC")
    if trade.product_type is ProductType.NRML and exchange in DELIVERY_EXCHANGES:
        raise WrongProduct(f"NRML is for futures and options; use CNC or MIS on {exchange}")


NO_FILLS: Final[Mapping[int, int]] = MappingProxyType({})


def check_change(
    trade: Trade, before: Plan, after: Plan, *, filled_legs: Mapping[int, int] = NO_FILLS, lot: int = 1
) -> None:
    """Reject a plan that cannot replace the plan `before` of an open trade; its legs must be sized.

    Raises
    ------
    TradeNotOpen
        The trade is closed.
    PlanContradiction
        The plan contradicts itself or a fact frozen since the entry; `details["contradictions"]` lists why.
    """
    if trade.status is not TradeStatus.OPEN:
        raise TradeNotOpen(f"trade {trade.trade_id} is {trade.status}; only the plan of an open trade can change")
    accepted = before.size_contradictions(trade.quantity, lot)  # the lot size may be newer than the plan
    _refuse(
        after.change_contradictions(before, trade.direction, trade.entry_price)
        + after.filled_leg_contradictions(before, filled_legs)
        + [each for each in after.size_contradictions(trade.quantity, lot) if each not in accepted]
    )


@dataclass(frozen=True, slots=True)
class Market:
    """Facts about a symbol's market in rupees; None where not known.

    Attributes
    ----------
    last_price:
        None also if the caller allows a plan to exit at once.
    """

    last_price: Decimal | None = None
    tick_size: Decimal | None = None
    lot_size: int | None = None
    freeze_quantity: int | None = None


UNKNOWN_MARKET: Final = Market()


def check_quantity(trade: Trade, market: Market) -> None:
    """Reject a trade with a quantity that its exit could not have: an exit is one order, for the whole of it.

    Raises
    ------
    WithoutExit
        It is no multiple of the lot size, or above the freeze quantity.
    """
    lot, most = market.lot_size, market.freeze_quantity
    if lot and trade.quantity % lot:
        raise WithoutExit(f"{trade.quantity} of {trade.symbol} is not a multiple of the lot size {lot}", lot_size=lot)
    if most is not None and trade.quantity > most:
        raise WithoutExit(
            f"{trade.quantity} of {trade.symbol} is above the freeze quantity {most} of one order; open several trades",
            freeze_quantity=most,
        )


def check_market(trade: Trade, plan: Plan, market: Market, before: Plan | None = None) -> None:
    """Reject a plan unfit for its market; faults of the plan `before` too are accepted already.

    Raises
    ------
    PlanContradiction
        A price is off the tick size.
    WouldExitNow
        The last price meets a rule.
    """
    if market.tick_size is not None:
        accepted = [] if before is None else before.off_tick(market.tick_size)
        _refuse([each for each in plan.off_tick(market.tick_size) if each not in accepted])
    if market.last_price is not None:
        check_distance(trade, plan, market.last_price, before)


def check_distance(trade: Trade, plan: Plan, last_price: Decimal, before: Plan | None = None) -> None:
    """Reject a plan already met by the last price; rules of the plan `before` too are judged already.

    Raises
    ------
    WouldExitNow
        `details["met"]` lists the rules.
    """
    known = [] if before is None else before.met_by(last_price, trade.direction, trade.entry_price)
    met = [rule for rule in plan.met_by(last_price, trade.direction, trade.entry_price) if rule not in known]
    if met:
        raise WouldExitNow(
            f"the last price {money_text(last_price)} of {trade.symbol} already meets {' and '.join(met)}; change the "
            "plan, or set allow_immediate to exit at once",
            last_price=money_text(last_price),
            met=met,
        )


def _refuse(contradictions: list[str]) -> None:
    if contradictions:
        raise PlanContradiction("; ".join(contradictions), contradictions=contradictions)
