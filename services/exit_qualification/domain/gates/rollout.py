"""ROLLOUT: where the rollout does not reach, exits are written but not sent."""

from __future__ import annotations

from services.exit_qualification.domain.gates.gate import Detail, Gate, GateSpec, Verdict
from services.exit_qualification.domain.gates.gate_input import GateInput


def check(given: GateInput) -> tuple[Verdict, Detail]:
    """Return PASS always: an exit outside the rollout is written and marked not executable."""
    return Verdict.PASS, {
        "mode": given.rollout.mode.value,
        "matched": given.rollout.match(given.symbol, given.user_broker_id),
        "executable": given.executable,
        "symbol": given.symbol,
        "user_broker_id": given.user_broker_id,
    }


ROLLOUT = GateSpec(
    gate=Gate.ROLLOUT,
    check=check,
    refusal="the rollout does not include this exit",
    unsent_while=(
        "NOT (r.mode = 'full' OR r.mode = 'limited'"
        " AND (i.symbol = ANY (r.symbols) OR i.user_broker_id = ANY (r.user_broker_ids)))"
    ),
)
