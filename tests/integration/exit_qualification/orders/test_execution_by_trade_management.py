"""Exits executed under trade management: none leaves before it asks, and the setting may change at any time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Engine

from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.orders import process
from services.exit_qualification.orders.sending.execution_watch import CONDITION, LATE_S, ExecutionWatch
from services.exit_qualification.storage.order_queues import OrderQueues
from services.exit_qualification.storage.protective_stops import ProtectiveStopRepository
from services.exit_qualification.storage.waiting_errors import AWAITS_TRADE_MANAGEMENT
from services.trade_management.execution.approved_exits import PAGE, ApprovedExit, ExitsNotExecuted
from services.trade_management.execution.exit_executor import EXECUTION, exit_executor
from shared.contracts.vocabulary import ExitReason, IntentStatus, ProtectiveStopStatus
from shared.errors import ConfigurationError
from shared.exit_rules.plan import ExitPlan
from shared.exit_rules.protective_stop import ProtectiveStopTerms
from shared.ids import new_id
from shared.money import from_units
from shared.runtime.health import Health
from shared.settings import Execution, Settings
from tests.integration.exit_qualification.orders.order_scenario import SYMBOL, OrderScenario
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker
from tests.integration.exit_qualification.trade_management import TradeManagement, trade_management
from tests.integration.trade_management import ledger
from tests.integration.trade_management.conftest import trade_engine
from tests.support.clocks import SteppedClock
from tests.support.servers import Database

__all__ = ["trade_engine"]

PROTECTED = ExitPlan(
    target=Decimal(1010), stop_loss=Decimal(990), protective_stop=ProtectiveStopTerms(offset=Decimal(2))
)


@pytest.fixture
def trades(exit_engine: Engine, trade_engine: Engine, database: Database) -> Iterator[TradeManagement]:
    """Trade management on both databases."""
    with trade_management(exit_engine, trade_engine, database) as found:
        yield found


@pytest.fixture
def scenario(exit_engine: Engine, broker: ScriptedBroker, trades: TradeManagement) -> OrderScenario:
    """exit-orders with the setting of the trades."""
    return OrderScenario(exit_engine, broker, asked=trades.asked)


def known(trade_engine: Engine, trade: OpenTrade, **other: Any) -> OpenTrade:
    """The same trade, open in trade management too."""
    values = {"quantity": trade.quantity, "open_quantity": trade.quantity, **other}
    ledger.open_trade(
        trade_engine,
        trade.direction,
        trade_id=trade.trade_id,
        symbol=trade.symbol,
        entry_price=from_units(trade.entry_price),
        **values,
    )
    return trade


def exit_of(scenario: OrderScenario, trade_engine: Engine, **trade: Any) -> ExitIntent:
    """An approved exit of a trade that both services know."""
    return scenario.detect(known(trade_engine, scenario.open_trade(**trade)))


def test_an_exit_waits_for_a_request_of_trade_management(
    scenario: OrderScenario, broker: ScriptedBroker, trades: TradeManagement, trade_engine: Engine
) -> None:
    intent = exit_of(scenario, trade_engine)
    assert not scenario.sender.execute_next()
    scenario.expect(intent, IntentStatus.APPROVED)
    trades.execute()
    assert scenario.sender.execute_next()
    scenario.expect(intent, IntentStatus.PLACED)
    trades.execute()
    assert not scenario.sender.execute_next()
    assert len(broker.placed) == 1


def test_an_exit_heard_of_is_asked_for_without_a_look(
    scenario: OrderScenario, trades: TradeManagement, trade_engine: Engine
) -> None:
    heard, other = (exit_of(scenario, trade_engine, symbol=symbol) for symbol in ("NSE:A", "NSE:B"))
    trades.hear(heard)
    assert (trades.way.looks, trades.way.requests) == (0, 1)
    assert scenario.sender.execute_next()
    scenario.expect(heard, IntentStatus.PLACED)
    scenario.expect(other, IntentStatus.APPROVED)
    assert not scenario.sender.execute_next()


def test_news_of_an_exit_decided_meanwhile_sends_none(
    scenario: OrderScenario, broker: ScriptedBroker, trades: TradeManagement, trade_engine: Engine
) -> None:
    intent = exit_of(scenario, trade_engine)
    trades.hear(intent)
    assert scenario.sender.execute_next()
    trades.executor.hear([ApprovedExit(intent.intent_id, intent.trade_id, intent.quantity)] * 2)
    trades.executor.execute_heard()
    assert not scenario.sender.execute_next()
    assert len(broker.placed) == 1


def test_exits_heard_of_leave_a_look_its_turn(
    scenario: OrderScenario, trades: TradeManagement, trade_engine: Engine
) -> None:
    intent = exit_of(scenario, trade_engine)
    trades.executor.hear([ApprovedExit(intent.intent_id, intent.trade_id, intent.quantity)] * (PAGE + 1))
    trades.executor.execute_due()
    assert (trades.way.looks, trades.way.requests) == (1, 2), "one page, and the look that is due"
    trades.executor.execute_due()
    assert (trades.way.looks, trades.way.requests) == (1, 3), "the rest"
    trades.executor.execute_due()
    assert trades.way.requests == 3


def test_the_due_query_sees_only_exits_asked_for(
    scenario: OrderScenario, trades: TradeManagement, trade_engine: Engine
) -> None:
    exit_of(scenario, trade_engine)
    with scenario.engine.connect() as connection:
        queues = OrderQueues(connection)
        assert queues.next_due_s(4, trades.asked()) is None
        assert not queues.anything_approved(trades.asked())
        trades.execute()
        due_s = queues.next_due_s(4, trades.asked())
        assert due_s is not None
        assert due_s <= 0
        assert queues.anything_approved(trades.asked())


def test_exits_asked_for_keep_their_order_of_rank(
    scenario: OrderScenario, broker: ScriptedBroker, trades: TradeManagement, trade_engine: Engine
) -> None:
    target = scenario.detect(known(trade_engine, scenario.open_trade(symbol="NSE:A")), ExitReason.TARGET)
    stop = scenario.detect(known(trade_engine, scenario.open_trade(symbol="NSE:B")), ExitReason.STOP_LOSS)
    trades.execute()
    while scenario.sender.execute_next():
        pass
    assert [order.tag for order in broker.placed] == [stop.client_order_id, target.client_order_id]


@pytest.mark.parametrize("is_heard_of", [False, True])
@pytest.mark.parametrize("lost", ["request", "answer", "memory"])
def test_a_lost_request_is_repeated(
    scenario: OrderScenario, trades: TradeManagement, trade_engine: Engine, lost: str, is_heard_of: bool
) -> None:
    intent = exit_of(scenario, trade_engine)
    ask = partial(trades.hear, intent) if is_heard_of else trades.execute
    trades.way.is_down, trades.way.dies_before_answering = lost == "request", lost == "answer"
    if lost == "memory":
        ask()
        trades.restart_exit_orders()
    else:
        with pytest.raises(ExitsNotExecuted):
            ask()
    if lost != "answer" or not is_heard_of:  # else the request itself had arrived
        assert not scenario.sender.execute_next()
    trades.way.is_down = trades.way.dies_before_answering = False
    trades.execute()
    assert scenario.sender.execute_next()
    assert not scenario.sender.execute_next()
    scenario.expect(intent, IntentStatus.PLACED)


def test_an_exit_beyond_its_trade_is_not_executed(
    scenario: OrderScenario, trades: TradeManagement, trade_engine: Engine
) -> None:
    unknown = scenario.detect(scenario.open_trade(symbol="NSE:A"))
    smaller = scenario.open_trade(symbol="NSE:B")
    too_much = scenario.detect(known(trade_engine, smaller, quantity=10, open_quantity=10))
    trades.hear(unknown, too_much)
    assert trades.way.requests == 0
    trades.execute()
    assert not scenario.sender.execute_next()
    for intent in (unknown, too_much):
        scenario.expect(intent, IntentStatus.APPROVED)
    note = trades.health.notes()[EXECUTION]
    assert note == f"2 exits not executed: trade {unknown.trade_id} is not open"


def test_an_exit_not_asked_for_says_so(scenario: OrderScenario, trades: TradeManagement, trade_engine: Engine) -> None:
    intent = exit_of(scenario, trade_engine)
    health, clock = Health(), SteppedClock()
    watch = ExecutionWatch(scenario.open_unit, trades.asked, health, clock)
    watch.look_once()
    assert health.is_ready()
    clock.at_s += LATE_S
    watch.look_once()
    (problem,) = health.problems().items()
    assert problem == (
        CONDITION,
        f"1 exit without a request of trade management, the first of trade {intent.trade_id}",
    )
    assert scenario.intent(intent).error_code == AWAITS_TRADE_MANAGEMENT
    trades.execute()
    watch.look_once()
    assert health.is_ready()
    assert scenario.intent(intent).error_code is None


def test_a_stop_at_the_broker_protects_until_trade_management_asks(
    scenario: OrderScenario, broker: ScriptedBroker, trades: TradeManagement, trade_engine: Engine
) -> None:
    broker.price(SYMBOL, "1000")
    trade = known(trade_engine, scenario.open_trade(plan=PROTECTED))
    while _stop_status(scenario, trade) is not ProtectiveStopStatus.ARMED:
        scenario.stops.keep_once()
    intent = scenario.detect(trade)
    scenario.stops.keep_once()
    assert _stop_status(scenario, trade) is ProtectiveStopStatus.ARMED
    trades.execute()
    while _stop_status(scenario, trade) is not ProtectiveStopStatus.CANCELLED:
        scenario.stops.keep_once()
    assert scenario.sender.execute_next()
    scenario.expect(intent, IntentStatus.PLACED)


def _stop_status(scenario: OrderScenario, trade: OpenTrade) -> ProtectiveStopStatus | None:
    with scenario.engine.connect() as connection:
        stop = ProtectiveStopRepository(connection).of_trade(trade.trade_id)
    return None if stop is None else stop.status


@pytest.mark.parametrize("later", list(Execution))
def test_a_change_of_the_setting_hands_over_exits_in_flight(
    later: Execution, scenario: OrderScenario, broker: ScriptedBroker, trades: TradeManagement, trade_engine: Engine
) -> None:
    (earlier,) = set(Execution) - {later}
    trades.execution = earlier
    sent = exit_of(scenario, trade_engine, symbol="NSE:A")
    trades.execute()
    assert scenario.sender.execute_next()
    unsent = exit_of(scenario, trade_engine, symbol="NSE:B")
    trades.execution = later
    trades.restart_exit_orders()
    trades.execute()
    while scenario.sender.execute_next():
        pass
    for intent in (sent, unsent):
        broker.fill(str(scenario.expect(intent, IntentStatus.PLACED).broker_order_id), intent.quantity, "1010")
    scenario.reconciler.reconcile_once()
    for intent in (sent, unsent):
        scenario.expect(intent, IntentStatus.FILLED)
    assert len(broker.placed) == 2


def test_processes_of_both_settings_send_each_exit_once(
    exit_engine: Engine, scenario: OrderScenario, broker: ScriptedBroker, trades: TradeManagement, trade_engine: Engine
) -> None:
    by_itself = OrderScenario(exit_engine, broker)
    intents = [exit_of(scenario, trade_engine, symbol=f"NSE:S{n}") for n in range(12)]
    trades.execute()
    start = threading.Barrier(2)

    def send_all(sender: OrderScenario) -> None:
        start.wait()
        while sender.sender.execute_next():
            pass

    senders = [threading.Thread(target=send_all, args=(each,)) for each in (scenario, by_itself)]
    for each in senders:
        each.start()
    for each in senders:
        each.join()
    assert sorted(order.tag for order in broker.placed) == sorted(each.client_order_id for each in intents)


def test_only_the_token_of_trade_management_has_exits_executed(trades: TradeManagement) -> None:
    body = {"intent_ids": [str(new_id())]}
    operator = {"Authorization": "Bearer operator-token"}
    assert trades.client.post("/exits/execute", json=body, headers=operator).status_code == 403
    execution = {"Authorization": "Bearer execution-token"}
    assert trades.client.post("/exits/execute", json=body, headers=execution).json() == {"intent_ids": []}
    for refused in ("/exits", "/exits/bulk"):
        assert trades.client.post(refused, json={}, headers=execution).status_code in (403, 422)


def test_exit_api_refuses_requests_where_exit_qualification_executes(
    exit_engine: Engine, trade_engine: Engine, database: Database, broker: ScriptedBroker
) -> None:
    with trade_management(exit_engine, trade_engine, database, Execution.EXIT_QUALIFICATION) as trades:
        scenario = OrderScenario(exit_engine, broker)
        exit_of(scenario, trade_engine)
        with pytest.raises(ExitsNotExecuted, match="executed_here"):
            trades.execute()


def test_trade_fills_needs_a_token_only_under_trade_management(trade_engine: Engine) -> None:
    assert exit_executor(Settings(), trade_engine, Health(), SteppedClock()) is None
    with pytest.raises(ConfigurationError, match="EXITFLOW_EXECUTION_TOKEN"):
        exit_executor(Settings(execution=Execution.TRADE_MANAGEMENT), trade_engine, Health(), SteppedClock())


def test_exit_orders_needs_notifications_under_trade_management(exit_engine: Engine) -> None:
    settings = Settings(execution=Execution.TRADE_MANAGEMENT, database_pooler=True)
    with pytest.raises(ConfigurationError, match="pooler"):
        process._waits(settings, exit_engine, SteppedClock())
