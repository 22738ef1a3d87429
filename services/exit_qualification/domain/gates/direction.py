"""DIRECTION: an exit only reduces the position."""

from __future__ import annotations

from services.exit_qualification.domain.gates.gate import Detail, Gate, GateSpec, Verdict, reject_unless
from services.exit_qualification.domain.gates.gate_input import GateInput
from services.exit_qualification.domain.order_terms import reducing_side


def check(given: GateInput) -> tuple[Verdict, Detail]:
    """Return REJECT for an order in the direction of the position."""
    return reject_unless(
        given.order_side is reducing_side(given.direction),
        {"direction": given.direction.value, "order_side": given.order_side.value},
    )


DIRECTION = GateSpec(
    gate=Gate.DIRECTION,
    check=check,
    refusal="the order would not reduce the position",
)
