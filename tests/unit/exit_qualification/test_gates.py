from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from services.exit_qualification.domain.exit_qualification_service import (
    ExitQualificationResult,
    ExitQualificationService,
)
from services.exit_qualification.domain.gates.gate import Gate, GateVerdict, Verdict
from services.exit_qualification.domain.gates.gate_input import GateInput
from services.exit_qualification.domain.gates.holds import ended_holds
from services.exit_qualification.domain.gates.registry import GATES, spec_of
from services.exit_qualification.domain.order_terms import BrokerStatus, OrderSide, OrderType
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
from tests.unit.exit_qualification.examples import EXECUTABLE_EXIT, exit_request


def qualify(**changes: Any) -> ExitQualificationResult:
    return ExitQualificationService().qualify(exit_request(**changes))


def verdict_of(result: ExitQualificationResult, gate: Gate) -> GateVerdict:
    return next(verdict for verdict in result.verdicts if verdict.gate is gate)


def assert_only(result: ExitQualificationResult, gate: Gate, verdict: Verdict) -> None:
    assert {each.gate: each.verdict for each in result.verdicts if each.verdict is not Verdict.PASS} == {gate: verdict}


def test_an_exit_passing_every_gate_is_approved_at_market() -> None:
    result = qualify()
    assert result.status is IntentStatus.APPROVED
    assert result.passed
    assert result.executable
    assert result.errors == ()
    assert result.calculated_qty == 100
    assert (result.order_type, result.limit_price) == (OrderType.MARKET, None)
    assert result.product_type is ProductType.MIS


def test_a_trade_that_is_closed_is_rejected() -> None:
    assert_only(qualify(trade_status=TradeStatus.CLOSED), Gate.TRADE_OPEN, Verdict.REJECT)


def test_a_second_exit_beside_a_live_one_is_rejected() -> None:
    assert_only(qualify(has_live_intent=True), Gate.NO_LIVE_INTENT, Verdict.REJECT)


def test_an_exit_without_an_episode_is_under_cooldown_and_rejected() -> None:
    assert_only(qualify(episode_id=None), Gate.COOLDOWN, Verdict.REJECT)


@pytest.mark.parametrize(("filled", "wanted"), [(100, 0), (0, 100), (60, 40), (101, 0), (60, 41)])
def test_an_exit_with_nothing_left_is_rejected_with_quantity_zero(filled: int, wanted: int) -> None:
    result = qualify(filled_quantity=filled, wanted_by_live=wanted)
    assert_only(result, Gate.QTY_POSITIVE, Verdict.REJECT)
    assert result.calculated_qty == 0


def test_the_quantity_excludes_fills_and_live_intents() -> None:
    result = qualify(filled_quantity=30, wanted_by_live=69)
    assert result.passed
    assert result.calculated_qty == 1
    assert verdict_of(result, Gate.QTY_POSITIVE).detail == {
        "quantity": 100,
        "filled_quantity": 30,
        "wanted_by_live": 69,
        "remaining": 1,
    }


@pytest.mark.parametrize(
    ("direction", "side", "passes"),
    [
        (Direction.LONG, OrderSide.SELL, True),
        (Direction.LONG, OrderSide.BUY, False),
        (Direction.SHORT, OrderSide.BUY, True),
        (Direction.SHORT, OrderSide.SELL, False),
    ],
)
def test_only_an_order_that_reduces_the_position_passes(direction: Direction, side: OrderSide, passes: bool) -> None:
    result = qualify(direction=direction, order_side=side)
    assert result.passed is passes
    if not passes:
        assert_only(result, Gate.DIRECTION, Verdict.REJECT)


@pytest.mark.parametrize("status", [BrokerStatus.DISCONNECTED, None])
def test_a_broker_that_is_not_connected_or_not_known_defers(status: BrokerStatus | None) -> None:
    result = qualify(broker_status=status)
    assert_only(result, Gate.BROKER_CONNECTED, Verdict.DEFER)
    assert result.status is IntentStatus.PENDING
    assert not result.passed
    assert result.errors == ()


@pytest.mark.parametrize("reason", [reason for reason in ExitReason if reason is not ExitReason.MANUAL])
def test_kill_switch_all_defers_every_exit_except_manual_ones(reason: ExitReason) -> None:
    assert_only(qualify(kill_switch=KillSwitchMode.ALL, exit_reason=reason), Gate.KILL_SWITCH, Verdict.DEFER)


def test_a_manual_flatten_passes_the_kill_switch_on_all() -> None:
    assert qualify(kill_switch=KillSwitchMode.ALL, exit_reason=ExitReason.MANUAL).passed


@pytest.mark.parametrize("reason", ExitReason)
def test_a_kill_switch_for_entries_never_blocks_an_exit(reason: ExitReason) -> None:
    assert qualify(kill_switch=KillSwitchMode.ENTRIES_ONLY, exit_reason=reason).passed


@pytest.mark.parametrize(
    ("rollout", "matched"),
    [
        (Rollout(RolloutMode.OFF), None),
        (Rollout(RolloutMode.DARK), None),
        (Rollout(RolloutMode.DARK, frozenset({"NSE:INFY"}), frozenset({"paper"})), None),
        (Rollout(RolloutMode.LIMITED), None),
        (Rollout(RolloutMode.LIMITED, frozenset({"NSE:TCS"}), frozenset({"other"})), None),
        (Rollout(RolloutMode.LIMITED, frozenset({"NSE:INFY"}), frozenset()), "symbol"),
        (Rollout(RolloutMode.LIMITED, frozenset(), frozenset({"paper"})), "user_broker_id"),
        (Rollout(RolloutMode.FULL), "full"),
    ],
)
def test_the_rollout_always_passes_and_explains_executability(rollout: Rollout, matched: str | None) -> None:
    result = qualify(rollout=rollout)
    assert result.status is IntentStatus.APPROVED
    assert result.executable is (matched is not None)
    detail = verdict_of(result, Gate.ROLLOUT).detail
    assert detail["mode"] == rollout.mode
    assert detail["matched"] == matched
    assert detail["executable"] is (matched is not None)


HOPELESS = replace(
    EXECUTABLE_EXIT,
    trade_status=TradeStatus.CLOSED,
    has_live_intent=True,
    episode_id=None,
    filled_quantity=100,
    order_side=OrderSide.BUY,
    broker_status=None,
    kill_switch=KillSwitchMode.ALL,
)


def test_every_gate_is_evaluated_and_every_refusal_is_named() -> None:
    result = ExitQualificationService().qualify(HOPELESS)
    assert [verdict.gate for verdict in result.verdicts] == list(Gate)
    assert [error.code for error in result.errors] == [
        "TRADE_OPEN",
        "NO_LIVE_INTENT",
        "COOLDOWN",
        "QTY_POSITIVE",
        "DIRECTION",
    ]
    assert all(error.message for error in result.errors)


def test_a_rejection_wins_over_a_deferral() -> None:
    result = qualify(trade_status=TradeStatus.CLOSED, broker_status=None)
    assert result.status is IntentStatus.REJECTED


@pytest.mark.parametrize("request_", [EXECUTABLE_EXIT, HOPELESS])
def test_the_same_request_gives_the_same_result(request_: GateInput) -> None:
    service = ExitQualificationService()
    assert service.qualify(request_) == service.qualify(request_)


@pytest.mark.parametrize("request_", [EXECUTABLE_EXIT, HOPELESS])
def test_verdicts_are_stored_as_json_with_their_inputs(request_: GateInput) -> None:
    kept = ExitQualificationService().qualify(request_).verdicts_json()
    assert json.loads(json.dumps(kept)) == kept
    assert all(set(entry) == {"gate", "verdict", "detail"} and entry["detail"] for entry in kept)


def test_an_ended_hold_is_kept_with_its_input() -> None:
    held, passed = qualify(broker_status=None), qualify()
    released_at, sent_at = datetime(2026, 1, 13, 5, tzinfo=UTC), datetime(2026, 1, 13, 6, tzinfo=UTC)
    released = passed.verdicts_after(held.verdicts_json(), released_at)
    sent = passed.verdicts_after(released, sent_at)
    assert released == sent, "a hold ends once"
    deferred = {gate["gate"]: gate for gate in held.verdicts_json() if gate["verdict"] == Verdict.DEFER}
    kept = {gate["gate"]: gate["held"] for gate in sent if "held" in gate}
    assert kept == {
        name: {"until": released_at.isoformat(), "detail": gate["detail"]} for name, gate in deferred.items()
    }
    assert Gate.BROKER_CONNECTED in kept
    assert ended_holds(sent) == {released_at.isoformat(): list(deferred)}


def test_a_hold_that_goes_on_has_no_end() -> None:
    held = qualify(broker_status=None)
    assert held.verdicts_after(held.verdicts_json(), datetime(2026, 1, 13, tzinfo=UTC)) == held.verdicts_json()
    assert qualify().verdicts_after(qualify().verdicts_json(), datetime(2026, 1, 13, tzinfo=UTC)) == (
        qualify().verdicts_json()
    )


@pytest.mark.parametrize("gate", Gate)
def test_any_gate_may_reject_and_says_why(gate: Gate) -> None:
    rejecting = replace(spec_of(gate), check=lambda _: (Verdict.REJECT, {"seen": 1}))
    service = ExitQualificationService((rejecting,))
    (error,) = service.qualify(EXECUTABLE_EXIT).errors
    assert (error.code, error.message) == (gate.value, spec_of(gate).refusal)
    assert error.message


def test_every_gate_is_registered_once() -> None:
    assert [spec.gate for spec in GATES] == list(Gate)
