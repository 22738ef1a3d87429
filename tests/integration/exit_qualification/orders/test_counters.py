"""Counters of exits equal the rows, whichever part of exit qualification wrote them."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import Engine, text

from services.exit_qualification.domain.exit_qualification_service import ExitQualificationService
from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.domain.order_terms import BrokerStatus
from services.exit_qualification.manual_exit_service import ManualExitService
from services.exit_qualification.signal_management_service import ExitTerms, SignalManagementService
from shared.contracts.vocabulary import ExitReason, IntentStatus
from shared.postgres.audit import Act
from shared.runtime.failpoints import Failpoint, FailpointHit, arm
from shared.runtime.telemetry import REGISTRY
from tests.integration.exit_qualification.orders.order_scenario import MINUTE, OrderScenario
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker

COUNTED = {
    "exit_signals_detected_total": "SELECT exit_reason, count(*) FROM exit_signals GROUP BY 1",
    "exit_intents_placed_total": """
      SELECT exit_reason, count(*) FROM exit_intents WHERE placed_at IS NOT NULL GROUP BY 1""",
    "exit_intents_filled_total": "SELECT exit_reason, count(*) FROM exit_intents WHERE status = 'FILLED' GROUP BY 1",
    "exit_intents_failed_total": "SELECT exit_reason, count(*) FROM exit_intents WHERE status = 'FAILED' GROUP BY 1",
    "exit_intents_rejected_total": """
      SELECT errors #>> '{0,code}', count(*) FROM exit_intents WHERE status = 'REJECTED' GROUP BY 1""",
    "exit_intents_approved_total": """
      SELECT exit_reason, count(*) FROM exit_intents i
       WHERE EXISTS (SELECT FROM outbox_event e WHERE e.ce_subject = i.intent_id::text
                        AND e.ce_type = 'io.exitflow.ExitIntentApproved.v1') GROUP BY 1""",
    "exit_time_to_fill_ms_count": "SELECT '', count(*) FROM exit_intents WHERE status = 'FILLED' HAVING count(*) > 0",
}


def counted() -> dict[str, Counter[str]]:
    """Return the counts of this process, by metric and label."""
    found: dict[str, Counter[str]] = {name: Counter() for name in COUNTED}
    for family in REGISTRY.collect():
        for sample in family.samples:
            if sample.name in found:
                found[sample.name]["".join(sample.labels.values())] += int(sample.value)
    return found


def rows(engine: Engine) -> dict[str, Counter[str]]:
    """Return the counts of the rows, by metric and label."""
    with engine.connect() as connection:
        return {
            name: Counter({label: int(count) for label, count in connection.execute(text(statement))})
            for name, statement in COUNTED.items()
        }


def exit_by_hand(scenario: OrderScenario, trade: OpenTrade) -> ExitIntent:
    signals = SignalManagementService(ExitTerms(MINUTE, MINUTE), scenario.clock, ExitQualificationService())
    with scenario.open_unit() as uow:
        intent = ManualExitService(signals, scenario.clock).exit(uow, trade.trade_id, Act("test", "by hand"))
        uow.commit()
    return intent


@pytest.mark.usefixtures("armed")
def test_after_a_mixed_run_every_counter_equals_its_rows(
    exit_engine: Engine, scenario: OrderScenario, broker: ScriptedBroker
) -> None:
    before = counted()
    broker.price("NSE:INFY", "1010")
    assert exit_by_hand(scenario, scenario.open_trade()).exit_reason is ExitReason.MANUAL
    scenario.approved()
    broker.fault({"kind": "reject", "message": "no"})
    broker.fault({"kind": "drop_answer"})
    while scenario.sender.execute_next():
        pass
    scenario.reconciler.reconcile_once()
    book_first(scenario)
    partly_filled_then_cancelled(scenario, broker)
    rejected_at_send(scenario, exit_engine)
    approved_later(scenario)
    after, told = counted(), rows(exit_engine)
    assert {name: after[name] - before[name] for name in COUNTED} == told
    assert all(told.values()), told


def book_first(scenario: OrderScenario) -> None:
    """The reconciler reads the book before the sender has its answer."""
    scenario.approved()
    arm(Failpoint.ORDERS_AFTER_CALL, "raise")
    with pytest.raises(FailpointHit):
        scenario.sender.execute_next()
    scenario.reconciler.reconcile_once()


def partly_filled_then_cancelled(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    """A stop fills partly, the broker cancels it, and the rest exits as a remainder."""
    broker.fault({"kind": "partial_fill", "quantity": 40})
    stop = scenario.detect(scenario.open_trade(), ExitReason.STOP_LOSS, cooldown_s=0)
    scenario.sender.execute_next()
    broker.end(broker.order_ids[-1])
    scenario.reconciler.reconcile_once()
    scenario.expect(stop, IntentStatus.CANCELLED)
    scenario.go_on(stop)
    scenario.sender.execute_next()
    scenario.reconciler.reconcile_once()


def rejected_at_send(scenario: OrderScenario, engine: Engine) -> None:
    """A closing of the trade before its exit is sent makes two gates refuse it; the intent counts once."""
    intent = scenario.approved()
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE open_trades SET status = 'CLOSED' WHERE trade_id = :id"), {"id": intent.trade_id}
        )
    scenario.sender.execute_next()
    scenario.expect(intent, IntentStatus.REJECTED)


def approved_later(scenario: OrderScenario) -> None:
    """An exit waiting for its broker is approved by re-qualification."""
    scenario.connect(BrokerStatus.DISCONNECTED)
    intent = scenario.detect(scenario.open_trade())
    assert intent.status is IntentStatus.PENDING
    scenario.connect(BrokerStatus.CONNECTED)
    scenario.requalification.requalify_once()
    scenario.expect(intent, IntentStatus.APPROVED)


@pytest.mark.usefixtures("armed")
def test_an_order_first_seen_in_the_book_counts_its_submission(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    broker.price("NSE:INFY", "1010")
    intent = scenario.approved()
    arm(Failpoint.ORDERS_AFTER_CALL, "raise")
    with pytest.raises(FailpointHit):
        scenario.sender.execute_next()
    scenario.reconciler.reconcile_once()
    filled = scenario.expect(intent, IntentStatus.FILLED)
    assert filled.placed_at == filled.submitted_at
    assert filled.filled_at is not None
    assert filled.placed_at is not None
    (event,) = [payload for name, payload in scenario.events(intent) if name == "Filled"]
    waited = (filled.filled_at - filled.placed_at) / timedelta(milliseconds=1)
    assert event["time_to_fill_ms"] == round(waited) > 0
