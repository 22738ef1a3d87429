"""CONFIRMED: an exit that waits for bricks was confirmed by enough of them."""

from __future__ import annotations

from services.exit_qualification.domain.gates.gate import Detail, Gate, GateSpec, Verdict, reject_unless
from services.exit_qualification.domain.gates.gate_input import GateInput


def check(given: GateInput) -> tuple[Verdict, Detail]:
    """Return REJECT if too few bricks formed; PASS for an exit without bricks. The engine has counted them before."""
    if given.bricks is None:
        return Verdict.PASS, {"needed": 0}
    return reject_unless(
        given.bricks.counted >= given.bricks.needed, {"counted": given.bricks.counted, "needed": given.bricks.needed}
    )


CONFIRMED = GateSpec(gate=Gate.CONFIRMED, check=check, refusal="too few bricks confirm the exit")
