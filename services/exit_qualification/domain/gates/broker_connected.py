"""BROKER_CONNECTED: exits wait for their account."""

from __future__ import annotations

from services.exit_qualification.domain.gates.gate import Detail, Gate, GateSpec, Verdict, defer_unless
from services.exit_qualification.domain.gates.gate_input import GateInput
from services.exit_qualification.domain.order_terms import BrokerStatus


def check(given: GateInput) -> tuple[Verdict, Detail]:
    """Return DEFER until the user's broker can be reached."""
    status = None if given.broker_status is None else given.broker_status.value
    return defer_unless(
        given.broker_status is BrokerStatus.CONNECTED,
        {"user_broker_id": given.user_broker_id, "status": status},
    )


BROKER_CONNECTED = GateSpec(
    gate=Gate.BROKER_CONNECTED,
    check=check,
    refusal="the user broker is not connected",
    defers_while="b.status IS DISTINCT FROM 'CONNECTED'",
)
