"""Things to judge, each as plain as possible; a test changes only its subject."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from services.exit_qualification.domain.gates.gate_input import GateInput
from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.domain.order_terms import BrokerStatus, OrderSide
from services.exit_qualification.domain.switches import Rollout
from shared.contracts.vocabulary import (
    Direction,
    ExitReason,
    IntentStatus,
    KillSwitchMode,
    ProductType,
    RolloutMode,
    TradeStatus,
)
from shared.exit_rules.plan import ExitPlan
from shared.exit_rules.registry import leg_quantities, start_rules
from shared.exit_rules.rule import Position
from shared.money import from_units

PRICES = ("target", "stop_loss")
NOON = datetime(2026, 1, 13, 6, 30, tzinfo=UTC)

EXECUTABLE_EXIT = GateInput(
    symbol="NSE:INFY",
    user_broker_id="paper",
    trade_status=TradeStatus.OPEN,
    direction=Direction.LONG,
    product_type=ProductType.MIS,
    quantity=100,
    exit_reason=ExitReason.TARGET,
    order_side=OrderSide.SELL,
    filled_quantity=0,
    wanted_by_live=0,
    has_live_intent=False,
    episode_id=1,
    broker_status=BrokerStatus.CONNECTED,
    kill_switch=KillSwitchMode.OFF,
    rollout=Rollout(RolloutMode.FULL),
    order_product_type=ProductType.MIS,
)

APPROVED_INTENT = ExitIntent(
    intent_id=UUID(int=1),
    signal_id=UUID(int=2),
    trade_id=UUID(int=3),
    user_broker_id="paper",
    symbol="NSE:INFY",
    direction=Direction.LONG,
    exit_reason=ExitReason.TARGET,
    episode_id=1,
    status=IntentStatus.APPROVED,
    quantity=100,
    product_type=ProductType.MIS,
    client_order_id="ABCDEFGHIJ0123456789",
    created_at=NOON,
    updated_at=NOON,
)


def exit_request(**changes: Any) -> GateInput:
    """An exit with a PASS at every gate, but for the changes."""
    return replace(EXECUTABLE_EXIT, **changes)


def intent(**changes: Any) -> ExitIntent:
    """An approved intent for 100, not sent yet, but for the changes."""
    return msgspec.structs.replace(APPROVED_INTENT, **changes)


def sent_intent(status: IntentStatus, **changes: Any) -> ExitIntent:
    """An intent with its order handed to the broker."""
    return intent(status=status, submitted_at=NOON, **changes)


def open_trade(number: int = 1, **changes: Any) -> OpenTrade:
    """Return a LONG of 100 entered at 1000 with target 1010 and stop 990, but for the changes.

    `target` and `stop_loss` are in units, None for a plan without; any other field of a plan is as on the wire.
    """
    levels: dict[str, Any] = {"target": 1010_0000, "stop_loss": 990_0000}
    for name in ExitPlan.model_fields:
        if name in changes:
            levels[name] = changes.pop(name)
    given: dict[str, Any] = {
        name: from_units(value) if name in PRICES and value else value for name, value in levels.items()
    }
    plain = OpenTrade(
        trade_id=UUID(int=number),
        symbol="NSE:INFY",
        direction=Direction.LONG,
        quantity=100,
        product_type=ProductType.MIS,
        user_broker_id="paper",
        entry_price=1000_0000,
        entered_at_ms=1_000,
    )
    trade = plain._replace(**changes)
    position = Position(trade.direction, trade.entry_price * trade.direction.sign, trade.entered_at_ms)
    plan = ExitPlan.model_construct(**given) if not any(given.values()) else ExitPlan.model_validate(given)
    return trade._replace(rules=start_rules(plan, position), leg_quantities=leg_quantities(plan, trade.quantity))
