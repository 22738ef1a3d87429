"""SESSION_PHASE: exits wait until their exchange is open."""

from __future__ import annotations

from services.exit_qualification.domain.gates.gate import Detail, Gate, GateSpec, Verdict, defer_unless
from services.exit_qualification.domain.gates.gate_input import GateInput
from services.exit_qualification.domain.market_calendar import exchange_of
from shared.contracts.vocabulary import MarketPhase


def check(given: GateInput) -> tuple[Verdict, Detail]:
    """Return DEFER outside phase OPEN; PASS without a calendar: the broker refuses an order that comes too early."""
    phase = given.market.phase
    detail: dict[str, object] = {"exchange": exchange_of(given.symbol), "phase": phase and phase.value}
    if phase is None:
        detail["unknown"] = "no calendar"
    return defer_unless(phase in (None, MarketPhase.OPEN), detail)


SESSION_PHASE = GateSpec(
    gate=Gate.SESSION_PHASE,
    check=check,
    refusal="the exchange is not open",
    defers_while="coalesce(m.phase, a.phase, 'OPEN') <> 'OPEN'",
)
