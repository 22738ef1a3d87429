"""Facts for the decisions of the gates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from services.exit_qualification.domain.candidates import BrickCount
from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.market_facts import NO_FACTS, MarketFacts
from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.domain.order_terms import BrokerStatus, OrderSide
from services.exit_qualification.domain.switches import Rollout, Switches
from shared.contracts.vocabulary import Direction, ExitReason, KillSwitchMode, ProductType, TradeStatus


@dataclass(frozen=True, slots=True)
class GateInput:
    """Input of the gates, read under a lock on the trade's row.

    An intent under requalification is counted neither in `wanted_by_live` nor in `has_live_intent`.

    Attributes
    ----------
    quantity:
        The trade's quantity at entry.
    filled_quantity:
        Sum of the trade's `exit_fills`.
    wanted_by_live:
        Sum over the trade's live executable intents of quantity less filled quantity.
    episode_id:
        None while the cooldown of (trade, reason) holds.
    broker_status:
        None if the user broker is not known.
    order_product_type, limit_price:
        Of the order; a MARKET order has no limit price.
    detected_price:
        Of the tick behind the exit, in rupees; None without one.
    bricks:
        None for an exit that waits for no bricks.
    token_refused:
        Whether the broker refuses the account's access token.
    market:
        Facts about the symbol's market.
    leg_left:
        Quantity of the leg without its fills; None for the whole remainder.
    beside_leg:
        Whether it takes the whole remainder while a leg is live.
    """

    symbol: str
    user_broker_id: str
    trade_status: TradeStatus
    direction: Direction
    product_type: ProductType
    quantity: int
    exit_reason: ExitReason
    order_side: OrderSide
    filled_quantity: int
    wanted_by_live: int
    has_live_intent: bool
    episode_id: int | None
    broker_status: BrokerStatus | None
    kill_switch: KillSwitchMode
    rollout: Rollout
    order_product_type: ProductType
    limit_price: Decimal | None = None
    detected_price: Decimal | None = None
    bricks: BrickCount | None = None
    token_refused: bool = False
    market: MarketFacts = NO_FACTS
    leg_left: int | None = None
    beside_leg: bool = False

    @property
    def remaining(self) -> int:
        """Return the quantity left to exit; negative only if more was filled or is wanted than the trade has."""
        left = self.quantity - self.filled_quantity - self.wanted_by_live
        return left if self.leg_left is None else min(left, self.leg_left)

    @property
    def executable(self) -> bool:
        """Return whether the rollout lets an order be sent."""
        return self.rollout.match(self.symbol, self.user_broker_id) is not None


@dataclass(frozen=True, slots=True)
class ExitRequest:
    """Exit to evaluate: a new one before it is written, or a waiting intent; `leg` and `leg_left` of a ladder."""

    exit_reason: ExitReason
    episode_id: int | None
    user_broker_id: str
    order_side: OrderSide
    product_type: ProductType
    limit_price: Decimal | None = None
    detected_price: Decimal | None = None
    bricks: BrickCount | None = None
    leg: int | None = None
    leg_left: int | None = None


def gate_input(
    asked: ExitRequest,
    trade: OpenTrade,
    trade_status: TradeStatus,
    filled_quantity: int,
    others: Sequence[ExitIntent],
    switches: Switches,
    market: MarketFacts,
) -> GateInput:
    """Return the facts about an exit.

    Parameters
    ----------
    filled_quantity:
        Sum of the trade's `exit_fills`.
    others:
        The trade's other executable intents, live or filled; those of other legs count with their quantity alone.
    """
    return GateInput(
        symbol=trade.symbol,
        user_broker_id=asked.user_broker_id,
        trade_status=trade_status,
        direction=trade.direction,
        product_type=trade.product_type,
        quantity=trade.quantity,
        exit_reason=asked.exit_reason,
        order_side=asked.order_side,
        filled_quantity=filled_quantity,
        wanted_by_live=sum(other.remaining for other in others if other.is_live),
        has_live_intent=any(other.leg == asked.leg for other in others),
        leg_left=asked.leg_left,
        beside_leg=asked.leg is None and any(other.is_live and other.leg is not None for other in others),
        episode_id=asked.episode_id,
        broker_status=switches.broker_status(asked.user_broker_id),
        token_refused=switches.token_refused(asked.user_broker_id),
        kill_switch=switches.kill_switch,
        rollout=switches.rollout,
        order_product_type=asked.product_type,
        limit_price=asked.limit_price,
        detected_price=asked.detected_price,
        bricks=asked.bricks,
        market=market,
    )
