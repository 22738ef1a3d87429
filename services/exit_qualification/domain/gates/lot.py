"""LOT: exchanges take whole lots only."""

from __future__ import annotations

from services.exit_qualification.domain.gates.gate import Detail, Gate, GateSpec, Verdict, reject_unless
from services.exit_qualification.domain.gates.gate_input import GateInput


def check(given: GateInput) -> tuple[Verdict, Detail]:
    """Return REJECT if the quantity is no multiple of the lot size; PASS if the lot size is not known."""
    lot = given.market.instrument.lot_size
    if lot is None:
        return Verdict.PASS, {"remaining": given.remaining, "unknown": "no instrument data"}
    return reject_unless(given.remaining % lot == 0, {"remaining": given.remaining, "lot_size": lot})


LOT = GateSpec(gate=Gate.LOT, check=check, refusal="the quantity is not a multiple of the lot size")
