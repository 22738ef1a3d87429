"""TRADE_OPEN: a closed trade has nothing to exit."""

from __future__ import annotations

from services.exit_qualification.domain.gates.gate import Detail, Gate, GateSpec, Verdict, reject_unless
from services.exit_qualification.domain.gates.gate_input import GateInput
from shared.contracts.vocabulary import TradeStatus


def check(given: GateInput) -> tuple[Verdict, Detail]:
    """Return REJECT unless the trade is OPEN."""
    return reject_unless(given.trade_status is TradeStatus.OPEN, {"trade_status": given.trade_status.value})


TRADE_OPEN = GateSpec(
    gate=Gate.TRADE_OPEN,
    check=check,
    refusal="the trade is not open",
)
