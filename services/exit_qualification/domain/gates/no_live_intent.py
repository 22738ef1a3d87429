"""NO_LIVE_INTENT: one exit at a time."""

from __future__ import annotations

from services.exit_qualification.domain.gates.gate import Detail, Gate, GateSpec, Verdict, reject_unless
from services.exit_qualification.domain.gates.gate_input import GateInput


def check(given: GateInput) -> tuple[Verdict, Detail]:
    """Return REJECT if another exit of the trade is in progress or has filled."""
    return reject_unless(not given.has_live_intent, {"has_live_intent": given.has_live_intent})


NO_LIVE_INTENT = GateSpec(
    gate=Gate.NO_LIVE_INTENT,
    check=check,
    refusal="another exit of the trade is live or filled",
)
