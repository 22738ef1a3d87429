"""An operator's exit knows no cooldown, and an exit that made room for one is not held back by its own."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Engine

from services.exit_qualification.domain.exit_qualification_service import ExitQualificationService
from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.manual_exit_service import ExitInProgress, ManualExitService
from services.exit_qualification.signal_management_service import ExitTerms, SignalManagementService
from services.exit_qualification.storage.exit_episodes import ExitEpisodeRepository
from shared.contracts.vocabulary import ExitReason, IntentStatus, KillSwitchMode
from shared.postgres.audit import Act
from tests.integration.exit_qualification.orders.floor import Floor
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker

NO = {"kind": "reject", "message": "no"}


def _exit_by_hand(floor: Floor, trade: OpenTrade) -> ExitIntent:
    terms = ExitTerms(timedelta(seconds=60), timedelta(seconds=60))
    signals = SignalManagementService(terms, floor.clock, ExitQualificationService())
    with floor.open_unit() as uow:
        intent = ManualExitService(signals, floor.clock).exit(uow, trade.trade_id, Act("test", "test"))
        uow.commit()
    return intent


def _eligible(engine: Engine, trade: OpenTrade, reason: ExitReason) -> bool:
    with engine.connect() as connection:
        return bool(ExitEpisodeRepository(connection).eligible([(trade.trade_id, reason)]))


def _fails_at_the_broker(floor: Floor, intent: ExitIntent) -> None:
    assert floor.sender.execute_next()
    floor.reconciler.reconcile_once()
    floor.expect(intent, IntentStatus.FAILED)


def test_an_operator_may_repeat_a_failed_exit_at_once(floor: Floor, broker: ScriptedBroker) -> None:
    trade = floor.open_trade()
    broker.fault(NO, count=3)
    for _ in range(3):
        _fails_at_the_broker(floor, _exit_by_hand(floor, trade))
    assert _exit_by_hand(floor, trade).status is IntentStatus.APPROVED


def test_a_second_manual_exit_is_refused_with_the_first(floor: Floor) -> None:
    trade = floor.open_trade()
    first = _exit_by_hand(floor, trade)
    with pytest.raises(ExitInProgress) as refused:
        _exit_by_hand(floor, trade)
    assert refused.value.intent.intent_id == first.intent_id


@pytest.mark.parametrize("reason", [ExitReason.STOP_LOSS, ExitReason.TARGET])
def test_a_superseded_reason_may_fire_when_its_manual_exit_fails(
    floor: Floor, broker: ScriptedBroker, reason: ExitReason
) -> None:
    trade = floor.open_trade()
    floor.kill(KillSwitchMode.ALL)
    waiting = floor.detect(trade, reason)
    manual = _exit_by_hand(floor, trade)
    assert floor.expect(waiting, IntentStatus.CANCELLED).cancel_reason == "SUPERSEDED"
    assert not _eligible(floor.engine, trade, reason), "the manual exit stands in the way"
    broker.fault(NO)
    _fails_at_the_broker(floor, manual)
    assert _eligible(floor.engine, trade, reason)
    assert floor.detect(trade, reason).status is IntentStatus.PENDING
