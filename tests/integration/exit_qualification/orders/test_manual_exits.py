"""An operator's exit knows no cooldown, and an exit superseded by one is not held back by its own."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Engine

from services.exit_qualification.domain.exit_qualification_service import ExitQualificationService
from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.level_index import RuleKey
from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.manual_exit_service import ExitInProgress, ManualExitService
from services.exit_qualification.signal_management_service import ExitTerms, SignalManagementService
from services.exit_qualification.storage.exit_episodes import ExitEpisodeRepository
from shared.contracts.vocabulary import ExitReason, IntentStatus, KillSwitchMode
from shared.postgres.audit import Act
from tests.integration.exit_qualification.orders.order_scenario import OrderScenario
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker

NO = {"kind": "reject", "message": "no"}


def _exit_by_hand(scenario: OrderScenario, trade: OpenTrade) -> ExitIntent:
    terms = ExitTerms(timedelta(seconds=60), timedelta(seconds=60))
    signals = SignalManagementService(terms, scenario.clock, ExitQualificationService())
    with scenario.open_unit() as uow:
        intent = ManualExitService(signals, scenario.clock).exit(uow, trade.trade_id, Act("test", "test"))
        uow.commit()
    return intent


def _eligible(engine: Engine, trade: OpenTrade, reason: ExitReason) -> bool:
    with engine.connect() as connection:
        return bool(ExitEpisodeRepository(connection).eligible([RuleKey(trade.trade_id, reason)]))


def _fails_at_the_broker(scenario: OrderScenario, intent: ExitIntent) -> None:
    assert scenario.sender.execute_next()
    scenario.reconciler.reconcile_once()
    scenario.expect(intent, IntentStatus.FAILED)


def test_an_operator_may_repeat_a_failed_exit_at_once(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    trade = scenario.open_trade()
    broker.fault(NO, count=3)
    for _ in range(3):
        _fails_at_the_broker(scenario, _exit_by_hand(scenario, trade))
    assert _exit_by_hand(scenario, trade).status is IntentStatus.APPROVED


def test_a_second_manual_exit_is_refused_with_the_first(scenario: OrderScenario) -> None:
    trade = scenario.open_trade()
    first = _exit_by_hand(scenario, trade)
    with pytest.raises(ExitInProgress) as refused:
        _exit_by_hand(scenario, trade)
    assert refused.value.intent.intent_id == first.intent_id


@pytest.mark.parametrize("reason", [ExitReason.STOP_LOSS, ExitReason.TARGET])
def test_a_superseded_reason_may_fire_when_its_manual_exit_fails(
    scenario: OrderScenario, broker: ScriptedBroker, reason: ExitReason
) -> None:
    trade = scenario.open_trade()
    scenario.kill(KillSwitchMode.ALL)
    waiting = scenario.detect(trade, reason)
    manual = _exit_by_hand(scenario, trade)
    assert scenario.expect(waiting, IntentStatus.CANCELLED).cancel_reason == "SUPERSEDED"
    assert not _eligible(scenario.engine, trade, reason), "the manual exit stands in the way"
    broker.fault(NO)
    _fails_at_the_broker(scenario, manual)
    assert _eligible(scenario.engine, trade, reason)
    assert scenario.detect(trade, reason).status is IntentStatus.PENDING
