"""QTY_POSITIVE: an order needs a quantity."""

from __future__ import annotations

from services.exit_qualification.domain.gates.gate import Detail, Gate, GateSpec, Verdict, reject_unless
from services.exit_qualification.domain.gates.gate_input import GateInput


def check(given: GateInput) -> tuple[Verdict, Detail]:
    """Return REJECT if nothing remains: quantity less fills less the open quantity of live intents."""
    return reject_unless(
        given.remaining > 0,
        {
            "quantity": given.quantity,
            "filled_quantity": given.filled_quantity,
            "wanted_by_live": given.wanted_by_live,
            "remaining": given.remaining,
            **({} if given.leg_left is None else {"leg_left": given.leg_left}),
        },
    )


QTY_POSITIVE = GateSpec(
    gate=Gate.QTY_POSITIVE,
    check=check,
    refusal="nothing is left to exit",
)
