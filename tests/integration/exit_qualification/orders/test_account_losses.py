"""An account with more loss than its limit: its entries are held, its trades exit once, whatever is under way."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from services.exit_qualification.account_loss_service import AccountLossService, NotHeld
from services.exit_qualification.domain.exit_qualification_service import ExitQualificationService
from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.orders.accounts.account_losses import AccountLosses
from services.exit_qualification.orders.rest import Rest
from services.exit_qualification.signal_management_service import ExitTerms, SignalManagementService
from services.exit_qualification.storage.exit_lists import ExitFilter, ExitLists
from shared.contracts.vocabulary import Direction, ExitReason, IntentStatus, KillSwitchMode, LossBasis, RolloutMode
from shared.postgres.audit import Act
from tests.integration.exit_qualification.orders.order_scenario import MINUTE, OrderScenario
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker

SERVICE = AccountLossService()
ACT = Act("ops-desk", "policy")
LOSS = ExitReason.ACCOUNT_LOSS


@pytest.fixture
def losses(scenario: OrderScenario) -> AccountLosses:
    """The watch of a process that has just started."""
    return watch(scenario)


def watch(scenario: OrderScenario) -> AccountLosses:
    signals = SignalManagementService(ExitTerms(MINUTE, MINUTE), scenario.clock, ExitQualificationService())
    return AccountLosses(scenario.open_unit, signals, scenario.clock, Rest(scenario.clock, times=0))


def look(losses: AccountLosses) -> None:
    """Look as if something had changed."""
    losses._seen = None
    losses.look_once()


def limit(scenario: OrderScenario, rupees: str | None, basis: LossBasis = LossBasis.START_OF_DAY) -> None:
    with scenario.open_unit() as uow:
        SERVICE.put(uow, "paper", None if rupees is None else Decimal(rupees), basis, ACT)
        uow.commit()


def release(scenario: OrderScenario) -> None:
    with scenario.open_unit() as uow:
        SERVICE.release(uow, "paper", ACT)
        uow.commit()


def account(scenario: OrderScenario) -> UserBroker:
    return scenario.switches().brokers["paper"]


def exits_of(scenario: OrderScenario, trade_id: UUID) -> list[ExitIntent]:
    """Every exit of a trade for the loss, oldest first."""
    with scenario.engine.connect() as connection:
        return ExitLists(connection).newest(ExitFilter(trade_id=trade_id, exit_reason=LOSS), 100)[::-1]


def rows(scenario: OrderScenario, statement: str) -> Any:
    with scenario.engine.connect() as connection:
        return connection.execute(text(statement)).all()


def test_an_account_below_its_limit_is_held_and_flattened(scenario: OrderScenario, losses: AccountLosses) -> None:
    long, short = scenario.open_trade(), scenario.open_trade(quantity=10, direction=Direction.SHORT)
    limit(scenario, "500")
    scenario.last_price("994.45")  # 100 · -5.55 + 10 · 5.55
    look(losses)
    assert account(scenario).entries_held_since is None
    scenario.last_price("994.44")
    look(losses)
    assert account(scenario).entries_held_reason == "lost 500.40 since the start of the day, its limit is 500.00"
    for trade in (long, short):
        (intent,) = exits_of(scenario, trade.trade_id)
        assert (intent.status, intent.quantity) == (IntentStatus.APPROVED, trade.quantity)


def test_the_hold_is_audited_and_published(scenario: OrderScenario, losses: AccountLosses) -> None:
    scenario.open_trade()
    limit(scenario, "500")
    scenario.last_price("990")
    look(losses)
    look(losses)
    release(scenario)
    events = rows(scenario, "SELECT payload FROM outbox_event WHERE ce_type LIKE '%UserBrokerChanged%' ORDER BY id")
    told = [json.loads(bytes(event.payload)) for event in events]
    assert [(each["entries_held_since"] is None, each["status"]) for each in told] == [
        (False, "CONNECTED"),
        (True, "CONNECTED"),
    ]
    assert told[0]["changed_at"] < told[1]["changed_at"]
    acts = rows(scenario, "SELECT action, actor, after ->> 'loss' AS loss FROM audit_log WHERE subject = 'paper' "
                          "AND action <> 'broker.put' ORDER BY audit_id")  # fmt: skip
    assert [tuple(act) for act in acts] == [
        ("loss_limit.put", "ops-desk", "0.00"),
        ("account.held", "exit-orders", "1000.00"),
        ("account.released", "ops-desk", "0.00"),
    ]


def test_realised_losses_count_with_the_unrealised_ones(
    scenario: OrderScenario, broker: ScriptedBroker, losses: AccountLosses
) -> None:
    limit(scenario, "800")
    closed = scenario.placed()
    open_trade = scenario.open_trade(quantity=50)
    broker.fill(broker.order_ids[0], 100, "994.00")
    scenario.reconciler.reconcile_once()
    scenario.expect(closed, IntentStatus.FILLED)
    scenario.last_price("996.01")
    look(losses)
    assert exits_of(scenario, open_trade.trade_id) == []
    scenario.last_price("996.00")
    look(losses)
    assert len(exits_of(scenario, open_trade.trade_id)) == 1


def test_working_order_continues_and_rest_exits_once(
    scenario: OrderScenario, broker: ScriptedBroker, losses: AccountLosses
) -> None:
    target = scenario.placed()
    broker.fill(broker.order_ids[0], 30, "1001.00")
    scenario.reconciler.reconcile_once()
    limit(scenario, "300")
    scenario.last_price("990")  # 30 · 1 - 70 · 10
    look(losses)
    assert exits_of(scenario, target.trade_id) == []
    broker.end(broker.order_ids[0])
    scenario.reconciler.reconcile_once()
    assert scenario.expect(target, IntentStatus.CANCELLED).filled_quantity == 30
    for _ in range(3):
        look(losses)
    (rest,) = exits_of(scenario, target.trade_id)
    assert rest.quantity == 70
    assert scenario.sender.execute_next()
    broker.fill(broker.order_ids[1], 70, "989.50")
    scenario.reconciler.reconcile_once()
    look(losses)
    assert scenario.filled_of_trade(target.trade_id) == 100
    assert len(broker.order_ids) == 2


def test_a_waiting_target_gives_way_and_a_waiting_stop_stays(scenario: OrderScenario, losses: AccountLosses) -> None:
    scenario.kill(KillSwitchMode.ALL)
    target, stop = scenario.detect(scenario.open_trade()), scenario.detect(scenario.open_trade(), ExitReason.STOP_LOSS)
    scenario.kill(KillSwitchMode.OFF)
    limit(scenario, "300")
    scenario.last_price("990")
    look(losses)
    assert scenario.expect(target, IntentStatus.CANCELLED).cancel_reason == "SUPERSEDED"
    assert len(exits_of(scenario, target.trade_id)) == 1
    scenario.expect(stop, IntentStatus.PENDING)
    assert exits_of(scenario, stop.trade_id) == []


def test_a_restarted_process_goes_on_from_the_rows(scenario: OrderScenario, losses: AccountLosses) -> None:
    limit(scenario, "500", LossBasis.PEAK)
    trade = scenario.open_trade()
    scenario.last_price("1004")
    look(losses)
    scenario.last_price("999.01")
    look(watch(scenario))
    assert account(scenario).entries_held_since is None
    scenario.last_price("999.00")  # 5 rupees below the peak that the process before has seen
    look(watch(scenario))
    assert "since the day's peak" in str(account(scenario).entries_held_reason)
    assert len(exits_of(scenario, trade.trade_id)) == 1


def test_a_trade_opened_while_the_account_is_held_exits_too(scenario: OrderScenario, losses: AccountLosses) -> None:
    scenario.open_trade()
    limit(scenario, "500")
    scenario.last_price("990")
    look(losses)
    late = scenario.open_trade(quantity=7)
    losses.look_once()
    assert [intent.quantity for intent in exits_of(scenario, late.trade_id)] == [7]


def test_a_refused_exit_comes_again_after_its_back_off(
    scenario: OrderScenario, broker: ScriptedBroker, losses: AccountLosses
) -> None:
    trade = scenario.open_trade()
    limit(scenario, "500")
    scenario.last_price("990")
    broker.fault({"kind": "reject", "error_type": "InputException", "message": "no"})
    look(losses)
    slow = scenario.with_long_back_off()
    slow.sender.execute_next()
    slow.reconciler.reconcile_once()
    (failed,) = exits_of(scenario, trade.trade_id)
    assert failed.status is IntentStatus.FAILED
    look(losses)
    assert len(exits_of(scenario, trade.trade_id)) == 1
    scenario.end_cooldown(failed)
    look(losses)
    assert [intent.status for intent in exits_of(scenario, trade.trade_id)] == [
        IntentStatus.FAILED,
        IntentStatus.APPROVED,
    ]


def test_an_order_whose_fate_is_unknown_is_waited_for(
    scenario: OrderScenario, broker: ScriptedBroker, losses: AccountLosses
) -> None:
    target = scenario.approved()
    broker.fault({"kind": "drop_answer"})
    scenario.sender.execute_next()
    scenario.expect(target, IntentStatus.UNKNOWN)
    limit(scenario, "500")
    scenario.last_price("990")
    look(losses)
    assert account(scenario).entries_held_since is not None
    assert exits_of(scenario, target.trade_id) == []
    scenario.reconciler.reconcile_once()
    broker.fill(broker.order_ids[0], 100, "990.00")
    scenario.reconciler.reconcile_once()
    scenario.expect(target, IntentStatus.FILLED)
    look(losses)
    assert exits_of(scenario, target.trade_id) == []
    assert len(broker.order_ids) == 1


def test_a_late_fill_leaves_the_exit_for_the_loss_less(
    scenario: OrderScenario, broker: ScriptedBroker, losses: AccountLosses
) -> None:
    target = scenario.placed()
    broker.end(broker.order_ids[0])
    scenario.reconciler.reconcile_once()
    limit(scenario, "500")
    scenario.last_price("990")
    look(losses)
    (exit_,) = exits_of(scenario, target.trade_id)
    broker.fill(broker.order_ids[0], 40, "990.00")
    scenario.reconciler.reconcile_once()
    scenario.sender.execute_next()
    assert scenario.expect(exit_, IntentStatus.PLACED).quantity == 60
    broker.fill(broker.order_ids[1], 60, "989.00")
    scenario.reconciler.reconcile_once()
    look(losses)
    assert scenario.filled_of_trade(target.trade_id) == 100
    assert len(broker.order_ids) == 2


def test_a_released_account_is_judged_from_then_on(scenario: OrderScenario, losses: AccountLosses) -> None:
    scenario.open_trade()
    limit(scenario, "500")
    scenario.last_price("990")
    look(losses)
    release(scenario)
    with pytest.raises(NotHeld):
        release(scenario)
    late = scenario.open_trade(quantity=10)
    scenario.last_price("989")  # 110 lost since the release
    look(losses)
    assert account(scenario).entries_held_since is None
    assert exits_of(scenario, late.trade_id) == []
    scenario.last_price("985.4")
    look(losses)
    assert account(scenario).entries_held_since is not None


def test_two_processes_hold_an_account_once(scenario: OrderScenario) -> None:
    trades = [scenario.open_trade() for _ in range(3)]
    limit(scenario, "500")
    scenario.last_price("990")
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(look, [watch(scenario) for _ in range(4)]))
    assert len(rows(scenario, "SELECT FROM audit_log WHERE action = 'account.held'")) == 1
    assert [len(exits_of(scenario, trade.trade_id)) for trade in trades] == [1, 1, 1]


def test_a_trade_that_somebody_holds_locked_exits_later(scenario: OrderScenario, losses: AccountLosses) -> None:
    locked, free = scenario.open_trade(), scenario.open_trade()
    limit(scenario, "500")
    scenario.last_price("990")
    with scenario.engine.begin() as connection:
        connection.execute(text("SELECT FROM open_trades WHERE trade_id = :id FOR UPDATE"), {"id": locked.trade_id})
        look(losses)
    assert [len(exits_of(scenario, trade.trade_id)) for trade in (locked, free)] == [0, 1]
    losses.look_once()
    assert len(exits_of(scenario, locked.trade_id)) == 1


@pytest.mark.parametrize("mode", [RolloutMode.OFF, RolloutMode.DARK])
def test_the_rollout_decides_about_exits_and_not_about_the_hold(
    scenario: OrderScenario, losses: AccountLosses, mode: RolloutMode
) -> None:
    trade = scenario.open_trade()
    limit(scenario, "500")
    scenario.roll_out(mode)
    scenario.last_price("990")
    look(losses)
    assert account(scenario).entries_held_since is not None
    assert exits_of(scenario, trade.trade_id) == []


def test_a_kill_switch_on_all_holds_the_exits_back(scenario: OrderScenario, losses: AccountLosses) -> None:
    trade = scenario.open_trade()
    limit(scenario, "500")
    scenario.kill(KillSwitchMode.ALL)
    scenario.last_price("990")
    look(losses)
    assert [intent.status for intent in exits_of(scenario, trade.trade_id)] == [IntentStatus.PENDING]


def test_unpriced_trade_of_earlier_day_stops_loss_judgement(scenario: OrderScenario, losses: AccountLosses) -> None:
    scenario.open_trade()
    renamed = scenario.open_trade(symbol="NSE:INFYNEW")
    with scenario.engine.begin() as connection:
        connection.execute(
            text("UPDATE open_trades SET entered_at = entered_at - interval '2 days' WHERE trade_id = :id"),
            {"id": renamed.trade_id},
        )
    limit(scenario, "500")
    scenario.last_price("990")
    look(losses)
    assert account(scenario).entries_held_since is None


def test_a_look_reads_no_trades_while_nothing_changed(scenario: OrderScenario, losses: AccountLosses) -> None:
    scenario.open_trade()
    limit(scenario, "5000")
    scenario.last_price("990")
    look(losses)
    (before,) = rows(scenario, "SELECT judged_at FROM account_loss_limits")
    losses.look_once()
    assert rows(scenario, "SELECT judged_at FROM account_loss_limits") == [before]
    with scenario.engine.begin() as connection:
        connection.execute(text("INSERT INTO tick_partitions (partition, epoch, owner, tick_offset, trade_offset) "
                                "VALUES (0, 1, 'test', 1, 0)"))  # fmt: skip
    losses.look_once()
    assert rows(scenario, "SELECT judged_at FROM account_loss_limits") != [before]
