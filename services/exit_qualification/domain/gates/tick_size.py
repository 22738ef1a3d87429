"""TICK_SIZE: the limit price of an order is a multiple of the tick size."""

from __future__ import annotations

from services.exit_qualification.domain.gates.gate import Detail, Gate, GateSpec, Verdict, reject_unless
from services.exit_qualification.domain.gates.gate_input import GateInput


def check(given: GateInput) -> tuple[Verdict, Detail]:
    """Return REJECT for a limit price between two ticks; PASS for a MARKET order or an unknown tick size."""
    limit, tick = given.limit_price, given.market.instrument.tick_size
    detail: dict[str, object] = {
        "limit_price": None if limit is None else str(limit),
        "tick_size": None if tick is None else str(tick),
    }
    if tick is None:
        return Verdict.PASS, detail | {"unknown": "no instrument data"}
    return reject_unless(limit is None or limit % tick == 0, detail)


TICK_SIZE = GateSpec(gate=Gate.TICK_SIZE, check=check, refusal="the limit price is not a multiple of the tick size")
