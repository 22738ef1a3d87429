"""TOKEN_VALID: exits wait while their broker refuses the account's access token."""

from __future__ import annotations

from services.exit_qualification.domain.gates.gate import Detail, Gate, GateSpec, Verdict, defer_unless
from services.exit_qualification.domain.gates.gate_input import GateInput


def check(given: GateInput) -> tuple[Verdict, Detail]:
    """Return DEFER from a refusal of the token until the broker takes one again."""
    return defer_unless(
        not given.token_refused, {"user_broker_id": given.user_broker_id, "token_refused": given.token_refused}
    )


TOKEN_VALID = GateSpec(
    gate=Gate.TOKEN_VALID,
    check=check,
    refusal="the broker refuses the account's access token",
    defers_while="b.token_refused_at IS NOT NULL",
)
