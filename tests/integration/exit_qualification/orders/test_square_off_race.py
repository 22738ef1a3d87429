"""Past its square-off time an exit is sent only while the position covers it: the broker may have squared it off."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from services.exit_qualification.domain.intent import CancelReason, ExitIntent
from services.exit_qualification.domain.order_terms import OrderSide
from services.exit_qualification.orders.brokers.port import BrokerUnavailable, ExitOrder
from services.exit_qualification.orders.sending.square_off_race import SQUARE_OFF_RACE
from shared.contracts.vocabulary import Direction, IntentStatus, ProductType
from tests.integration.exit_qualification.orders.order_scenario import OrderScenario
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker


def late_exit(scenario: OrderScenario, *, days: int = 2, direction: Direction = Direction.LONG) -> ExitIntent:
    """An approved exit of a trade entered days ago."""
    trade = scenario.open_trade(direction=direction)
    with scenario.engine.begin() as connection:
        connection.execute(
            text("UPDATE open_trades SET entered_at = entered_at - :by WHERE trade_id = :id"),
            {"by": timedelta(days=days), "id": trade.trade_id},
        )
    return scenario.detect(trade)


def square_off(broker: ScriptedBroker, quantity: int, side: OrderSide = OrderSide.SELL) -> None:
    """The broker squares off a position."""
    broker.trade_by_hand(ExitOrder("", "NSE", "INFY", side, quantity, ProductType.MIS), "1003.50")


def ours(scenario: OrderScenario, broker: ScriptedBroker) -> list[ExitOrder]:
    """Our orders at the broker, after a pass of the sender."""
    scenario.sender.execute_next()
    return [order for order in broker.placed if order.tag]


@pytest.mark.parametrize("direction", list(Direction))
def test_exit_waits_then_is_withdrawn_after_position_square_off(
    scenario: OrderScenario, broker: ScriptedBroker, direction: Direction
) -> None:
    intent = late_exit(scenario, direction=direction)
    square_off(broker, 100, OrderSide.SELL if direction is Direction.LONG else OrderSide.BUY)
    assert ours(scenario, broker) == []
    waiting = scenario.expect(intent, IntentStatus.APPROVED)
    assert waiting.error_code == SQUARE_OFF_RACE
    assert "holds 100 of NSE:INFY MIS less" in str(waiting.error_message)
    assert waiting.submitted_at is None
    for _ in range(2):
        scenario.compare_positions()
    assert scenario.expect(intent, IntentStatus.CANCELLED).cancel_reason == CancelReason.NOTHING_LEFT
    assert scenario.filled_of_trade(intent.trade_id) == 100
    assert ours(scenario, broker) == []


def test_a_partly_squared_off_position_does_not_cover_the_exit(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    intent = late_exit(scenario)
    square_off(broker, 1)
    assert ours(scenario, broker) == []
    assert scenario.intent(intent).error_code == SQUARE_OFF_RACE


def test_a_position_that_covers_the_exit_is_sold(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    intent = late_exit(scenario)
    assert [order.tag for order in ours(scenario, broker)] == [intent.client_order_id]


def test_positions_that_cannot_be_read_cover_nothing(
    scenario: OrderScenario, broker: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    intent = late_exit(scenario)

    def unreadable(**_: object) -> None:
        raise BrokerUnavailable("positions: 502")

    monkeypatch.setattr(broker, "positions", unreadable)
    assert ours(scenario, broker) == []
    waiting = scenario.expect(intent, IntentStatus.APPROVED)
    assert (waiting.error_code, waiting.submitted_at) == (SQUARE_OFF_RACE, None)
    assert "positions: 502" in str(waiting.error_message)


def test_before_its_square_off_an_exit_asks_for_no_positions(
    scenario: OrderScenario, broker: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    intent = late_exit(scenario, days=-2)  # entered in two days, so its square-off is still to come
    square_off(broker, 100)
    monkeypatch.setattr(broker, "positions", None)
    assert [order.tag for order in ours(scenario, broker)] == [intent.client_order_id]


def test_what_our_own_orders_may_have_filled_is_not_missing(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    first = late_exit(scenario)
    assert len(ours(scenario, broker)) == 1
    broker.fill(broker.order_ids[0], 60, "1010.00")  # not recorded yet
    second = late_exit(scenario)
    assert [order.tag for order in ours(scenario, broker)] == [first.client_order_id, second.client_order_id]
