"""Positions closed by foreign orders: by a human in another session, or by the broker's square-off."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from services.exit_qualification.domain.intent import CancelReason, ExitIntent
from services.exit_qualification.domain.order_terms import OrderSide
from services.exit_qualification.orders.brokers.port import BrokerUnavailable, ExitOrder
from services.exit_qualification.orders.reconciling.outcome_writer import exit_fill
from services.exit_qualification.storage.exit_fills import ExitFillRepository
from services.exit_qualification.storage.exit_lists import ExitFilter, ExitLists
from services.exit_qualification.storage.operator_controls import SwitchRepository
from shared.contracts.vocabulary import Direction, ExitReason, IntentStatus, ProductType, RolloutMode
from tests.integration.exit_qualification.orders.order_scenario import OrderScenario
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker
from tests.support.waiting import LIMIT_S, wait_until


def by_hand(quantity: int, side: OrderSide = OrderSide.SELL, product: ProductType = ProductType.MIS) -> ExitOrder:
    return ExitOrder("", "NSE", "INFY", side, quantity, product)


def look(scenario: OrderScenario, times: int = 2) -> None:
    for _ in range(times):
        scenario.compare_positions()


def looked_unclear(scenario: OrderScenario) -> bool:
    scenario.reconciler.reconcile_once()
    return bool(scenario.reconciler._unclear)


def external(scenario: OrderScenario, trade_id: UUID) -> list[ExitIntent]:
    with scenario.engine.connect() as connection:
        found = ExitLists(connection).newest(ExitFilter(trade_id=trade_id, exit_reason=ExitReason.EXTERNAL), 100)
    return found[::-1]


@pytest.mark.parametrize("direction", list(Direction))
def test_position_closed_by_hand_closes_trade_from_fill(
    scenario: OrderScenario, broker: ScriptedBroker, direction: Direction
) -> None:
    trade = scenario.open_trade(direction=direction)
    side = OrderSide.SELL if direction is Direction.LONG else OrderSide.BUY
    order_id = broker.trade_by_hand(by_hand(100, side), "1003.50")
    look(scenario)
    (intent,) = external(scenario, trade.trade_id)
    assert (intent.status, intent.quantity, intent.average_price) == (IntentStatus.FILLED, 100, Decimal("1003.5"))
    assert intent.broker_order_id == order_id
    ((name, told),) = scenario.events(intent)
    assert name == "Filled"
    assert (told["exit_reason"], told["filled_quantity"]) == ("EXTERNAL", 100)
    assert [fill["price"] for fill in told["fills"]] == ["1003.50"]
    look(scenario)
    assert len(external(scenario, trade.trade_id)) == 1
    assert scenario.filled_of_trade(trade.trade_id) == 100


def test_one_look_adopts_nothing(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    trade = scenario.open_trade()
    broker.trade_by_hand(by_hand(100), "1003.50")
    look(scenario, times=1)
    assert external(scenario, trade.trade_id) == []


def test_part_sold_by_hand_is_adopted_and_rest_exits(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    trade = scenario.open_trade()
    broker.trade_by_hand(by_hand(40), "1003.50")
    look(scenario)
    exit_ = scenario.detect(trade)
    scenario.sender.execute_next()
    assert scenario.expect(exit_, IntentStatus.PLACED).quantity == 60


def test_an_exit_that_waits_is_withdrawn(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    exit_ = scenario.approved()
    broker.trade_by_hand(by_hand(100), "1003.50")
    look(scenario)
    assert scenario.expect(exit_, IntentStatus.CANCELLED).cancel_reason == CancelReason.NOTHING_LEFT
    assert not scenario.sender.execute_next()


def test_broker_order_is_cancelled_when_nothing_is_left(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    exit_ = scenario.placed()
    broker.trade_by_hand(by_hand(100), "1003.50")
    look(scenario)
    scenario.reconciler.reconcile_once()
    assert broker.cancels == [broker.order_ids[0]]
    scenario.reconciler.reconcile_once()
    scenario.expect(exit_, IntentStatus.CANCELLED)
    assert scenario.filled_of_trade(exit_.trade_id) == 100


def test_shares_beyond_our_trades_are_not_adopted(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    trade = scenario.open_trade()
    broker.enter("NSE:INFY", ProductType.MIS, 50)
    broker.trade_by_hand(by_hand(50), "1003.50")
    look(scenario)
    assert external(scenario, trade.trade_id) == []
    broker.trade_by_hand(by_hand(70), "1004.00")
    look(scenario)
    assert [(each.quantity, each.filled_quantity) for each in external(scenario, trade.trade_id)] == [
        (50, 50),
        (20, 20),
    ]


def test_one_fill_closes_several_trades_the_oldest_first(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    trades = [scenario.open_trade(quantity=quantity) for quantity in (30, 50, 40)]
    broker.trade_by_hand(by_hand(100), "1003.50")
    look(scenario)
    assert [scenario.filled_of_trade(trade.trade_id) for trade in trades] == [30, 50, 20]
    broker.trade_by_hand(by_hand(20), "1004.00")
    look(scenario)
    assert [scenario.filled_of_trade(trade.trade_id) for trade in trades] == [30, 50, 40]


def test_fills_of_our_own_orders_are_never_adopted(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    exit_ = scenario.placed()
    broker.fill(broker.order_ids[0], 100, "1010")
    look(scenario)
    assert external(scenario, exit_.trade_id) == []
    scenario.reconciler.reconcile_once()
    scenario.expect(exit_, IntentStatus.FILLED)


@pytest.mark.parametrize(
    "order", [by_hand(100, OrderSide.BUY), by_hand(100, product=ProductType.CNC)], ids=["side", "product"]
)
def test_fill_reducing_no_position_of_ours_is_not_adopted(
    scenario: OrderScenario, broker: ScriptedBroker, order: ExitOrder
) -> None:
    trade = scenario.open_trade()
    broker.trade_by_hand(order, "1003.50")
    broker.enter("NSE:INFY", ProductType.MIS, -300)  # short of shares, whatever was bought
    look(scenario, times=3)
    assert external(scenario, trade.trade_id) == []


def test_a_fill_before_the_entry_is_not_adopted(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    broker.trade_by_hand(by_hand(100), "1003.50")
    broker.show_fills([replace(fill, filled_at=fill.filled_at - timedelta(seconds=2)) for fill in broker.hide_fills()])
    trade = scenario.open_trade()
    look(scenario)
    assert external(scenario, trade.trade_id) == []


def test_positions_that_cannot_be_read_are_not_flat(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    trade = scenario.open_trade()
    broker.trade_by_hand(by_hand(100), "1003.50")
    look(scenario, times=1)
    broker.is_down = True
    look(scenario)
    assert external(scenario, trade.trade_id) == []
    broker.is_down = False
    look(scenario)
    assert len(external(scenario, trade.trade_id)) == 1


def test_nothing_is_written_while_the_rollout_is_off(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    trade = scenario.open_trade()
    broker.trade_by_hand(by_hand(100), "1003.50")
    scenario.roll_out(RolloutMode.OFF)
    look(scenario)
    assert external(scenario, trade.trade_id) == []
    scenario.roll_out(RolloutMode.DARK)
    look(scenario)
    assert len(external(scenario, trade.trade_id)) == 1


def test_a_missing_order_fails_only_while_the_position_is_held(
    quick_scenario: OrderScenario, broker: ScriptedBroker
) -> None:
    """The order filled, and both books lag for longer than the proof of absence takes."""
    broker.fault({"kind": "drop_answer"})
    exit_ = quick_scenario.approved()
    quick_scenario.sender.execute_next()
    broker.fill(broker.order_ids[0], 100, "1010")
    broker.is_blind = True
    quick_scenario.send_back_in_time(exit_, timedelta(seconds=5))
    quick_scenario.reconciler.reconcile_once()
    wait_until(lambda: looked_unclear(quick_scenario), "absence would be proven")
    quick_scenario.expect(exit_, IntentStatus.UNKNOWN)
    broker.is_blind = False
    quick_scenario.reconciler.reconcile_once()
    quick_scenario.expect(exit_, IntentStatus.FILLED)
    assert len(broker.placed) == 1


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("unseen", [0, 3, 100])
def test_shares_filled_beyond_another_trade_explain_a_short_position(
    quick_scenario: OrderScenario, broker: ScriptedBroker, direction: Direction, unseen: int
) -> None:
    """Late fills of one trade must not keep the exit of another one UNKNOWN for ever."""
    scenario = quick_scenario
    broker.price("NSE:INFY", "1010")
    over = scenario.placed(direction=direction)
    scenario.reconciler.reconcile_once()
    scenario.expect(over, IntentStatus.FILLED)
    other = scenario.approved(direction=direction)
    broker.fault({"kind": "refuse", "error_type": "GeneralException", "http_status": 503})
    scenario.sender.execute_next()
    scenario.expect(other, IntentStatus.UNKNOWN)
    record_beyond(scenario, broker, over, 4)
    broker.enter("NSE:INFY", ProductType.MIS, -direction.sign * unseen)
    scenario.send_back_in_time(other, timedelta(seconds=5))
    scenario.reconciler.reconcile_once()

    def is_decided() -> bool:
        return looked_unclear(scenario) or scenario.intent(other).status is IntentStatus.FAILED

    wait_until(is_decided, "the absence is judged")
    scenario.expect(other, IntentStatus.UNKNOWN if unseen else IntentStatus.FAILED)


def record_beyond(scenario: OrderScenario, broker: ScriptedBroker, exit_: ExitIntent, quantity: int) -> None:
    """An order of an exit fills so much beyond its trade, and it is recorded."""
    order_id = exit_.broker_order_id
    assert order_id is not None
    broker.fill(order_id, quantity, "1010")
    (fill,) = [fill for fill in broker.fills_of(order_id) if fill.quantity == quantity]
    with scenario.engine.begin() as connection:
        account = SwitchRepository(connection).broker(exit_.user_broker_id)
        assert ExitFillRepository(connection).record([exit_fill(exit_, account, fill)]) == 1


def test_a_missing_order_stays_unknown_while_positions_cannot_be_read(
    scenario: OrderScenario, broker: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: bool) -> list[object]:
        raise BrokerUnavailable("positions: 503")

    broker.fault({"kind": "refuse", "error_type": "OrderException", "http_status": 400})
    exit_ = scenario.approved()
    scenario.sender.execute_next()
    monkeypatch.setattr(broker, "positions", fail)
    with pytest.raises(BrokerUnavailable, match="positions"):
        scenario.reconciler.reconcile_once()
    scenario.expect(exit_, IntentStatus.UNKNOWN)
    monkeypatch.undo()
    scenario.reconciler.reconcile_once()
    scenario.expect(exit_, IntentStatus.FAILED)


def test_a_broker_refusing_its_positions_makes_the_process_unready(
    scenario: OrderScenario, broker: ScriptedBroker
) -> None:
    scenario.open_trade()
    broker.is_down = True
    look(scenario)
    assert scenario.health.problems()["brokers"] == "positions cannot be read: paper: positions: down"
    broker.is_down = False
    look(scenario, times=1)
    assert "brokers" not in scenario.health.problems()


def test_a_broker_without_an_answer_makes_the_process_unready(
    scenario: OrderScenario, broker: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasty = OrderScenario(scenario.engine, broker, replace(scenario.terms, pass_limit=timedelta(milliseconds=10)))
    hasty.open_trade()
    thawed = threading.Event()

    def wait(**_: bool) -> list[object]:
        assert thawed.wait(LIMIT_S)
        return []

    with monkeypatch.context() as patched:
        patched.setattr(broker, "positions", wait)
        look(hasty, times=1)
        assert "brokers" not in hasty.health.problems()
        look(hasty, times=1)
        assert "paper: no answer" in hasty.health.problems()["brokers"]
        thawed.set()
    wait_until(lambda: not hasty.external._readers.at_work(), "the read ends")
    look(hasty, times=1)
    assert "brokers" not in hasty.health.problems()


def test_no_rest_follows_from_a_wait_for_a_broker(
    scenario: OrderScenario, broker: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario.open_trade()
    order: list[str] = []

    def positions(**_: bool) -> list[object]:
        order.append("asked")
        return []

    monkeypatch.setattr(broker, "positions", positions)
    monkeypatch.setattr(scenario.external._rest, "begin", lambda _: order.append("rest"))
    look(scenario, times=1)
    assert order == ["rest", "asked"]


def test_several_copies_adopt_a_fill_once(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    trades = [scenario.open_trade(quantity=quantity) for quantity in (30, 70)]
    broker.trade_by_hand(by_hand(100), "1003.50")
    copies = [OrderScenario(scenario.engine, broker, scenario.terms) for _ in range(3)]
    for copy in copies:
        look(copy, times=1)
    with ThreadPoolExecutor(len(copies)) as pool:
        list(pool.map(look, copies))
    look(scenario)
    assert [scenario.filled_of_trade(trade.trade_id) for trade in trades] == [30, 70]
    assert [len(external(scenario, trade.trade_id)) for trade in trades] == [1, 1]
