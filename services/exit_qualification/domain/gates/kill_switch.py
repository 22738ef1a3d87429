"""KILL_SWITCH: operators can stop exits."""

from __future__ import annotations

from services.exit_qualification.domain.gates.gate import Detail, Gate, GateSpec, Verdict, defer_unless
from services.exit_qualification.domain.gates.gate_input import GateInput
from shared.contracts.vocabulary import ExitReason, KillSwitchMode


def check(given: GateInput) -> tuple[Verdict, Detail]:
    """Return DEFER while everything is stopped, but never a manual exit; ENTRIES_ONLY holds back no exit."""
    return defer_unless(
        given.kill_switch is not KillSwitchMode.ALL or given.exit_reason is ExitReason.MANUAL,
        {"mode": given.kill_switch.value, "exit_reason": given.exit_reason.value},
    )


KILL_SWITCH = GateSpec(
    gate=Gate.KILL_SWITCH,
    check=check,
    refusal="the kill switch stops exits",
    defers_while="k.mode = 'ALL' AND i.exit_reason <> 'MANUAL'",
)
