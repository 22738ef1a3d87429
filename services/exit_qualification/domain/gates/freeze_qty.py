"""FREEZE_QTY: exchanges refuse an order beyond the freeze quantity."""

from __future__ import annotations

from services.exit_qualification.domain.gates.gate import Detail, Gate, GateSpec, Verdict, reject_unless
from services.exit_qualification.domain.gates.gate_input import GateInput


def check(given: GateInput) -> tuple[Verdict, Detail]:
    """Return REJECT if the quantity exceeds the freeze quantity; PASS if it is unknown. Orders are not sliced."""
    most = given.market.instrument.freeze_quantity
    if most is None:
        return Verdict.PASS, {"remaining": given.remaining, "unknown": "no freeze quantity"}
    return reject_unless(given.remaining <= most, {"remaining": given.remaining, "freeze_quantity": most})


FREEZE_QTY = GateSpec(gate=Gate.FREEZE_QTY, check=check, refusal="the quantity exceeds the exchange's freeze quantity")
