"""COOLDOWN: an exit needs an episode; the database gives one once the cooldown has ended."""

from __future__ import annotations

from services.exit_qualification.domain.gates.gate import Detail, Gate, GateSpec, Verdict, reject_unless
from services.exit_qualification.domain.gates.gate_input import GateInput


def check(given: GateInput) -> tuple[Verdict, Detail]:
    """Return REJECT without an episode: the intent has no identity until the cooldown has ended."""
    return reject_unless(
        given.episode_id is not None,
        {"exit_reason": given.exit_reason.value, "episode_id": given.episode_id},
    )


COOLDOWN = GateSpec(
    gate=Gate.COOLDOWN,
    check=check,
    refusal="the cooldown of this trade and reason has not ended",
)
