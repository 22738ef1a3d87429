"""Operational qualification of an exit: market logic has said yes, may an order go out?"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from services.exit_qualification.domain.gates.gate import GateSpec, GateVerdict, Verdict
from services.exit_qualification.domain.gates.gate_input import GateInput
from services.exit_qualification.domain.gates.registry import GATES
from services.exit_qualification.domain.order_terms import OrderType
from shared.contracts.vocabulary import IntentStatus, ProductType


@dataclass(frozen=True, slots=True)
class QualificationError:
    """One gate that refused: its name as the code, and a sentence."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ExitQualificationResult:
    """What the gates say about one exit.

    Attributes
    ----------
    status:
        APPROVED if every gate passed, REJECTED if any rejected, else PENDING (to be qualified again).
    passed:
        True exactly when `status` is APPROVED.
    errors:
        One for every gate that rejected; empty unless REJECTED.
    calculated_qty:
        What the order is for: all that remains, 0 if nothing does.
    limit_price:
        Rupees; None for a MARKET order.
    executable:
        False where the rollout does not reach: written and published, never sent.
    verdicts:
        Of every gate, in the gates' own order.
    """

    status: IntentStatus
    errors: tuple[QualificationError, ...]
    calculated_qty: int
    order_type: OrderType
    limit_price: Decimal | None
    product_type: ProductType
    executable: bool
    verdicts: tuple[GateVerdict, ...]

    @property
    def passed(self) -> bool:
        """Whether every gate passed."""
        return self.status is IntentStatus.APPROVED

    def verdicts_json(self) -> list[dict[str, object]]:
        """The verdicts as they are kept on the intent's row."""
        return [verdict.json() for verdict in self.verdicts]

    def errors_json(self) -> list[dict[str, str]]:
        """The errors as they are kept on the intent's row."""
        return [{"code": error.code, "message": error.message} for error in self.errors]


class ExitQualificationService:
    """Asks every gate, even after a refusal, so that an operator sees all that stands in the way."""

    def __init__(self, gates: tuple[GateSpec, ...] = GATES) -> None:
        self._gates = gates

    def qualify(self, request: GateInput) -> ExitQualificationResult:
        """The verdict on one exit. The same request always gives the same result."""
        verdicts = tuple(gate.verdict_on(request) for gate in self._gates)
        return ExitQualificationResult(
            status=_status_of(verdicts),
            errors=self._errors_of(verdicts),
            calculated_qty=max(request.remaining, 0),
            order_type=OrderType.MARKET,
            limit_price=None,
            product_type=request.product_type,
            executable=request.executable,
            verdicts=verdicts,
        )

    def _errors_of(self, verdicts: tuple[GateVerdict, ...]) -> tuple[QualificationError, ...]:
        return tuple(
            QualificationError(spec.gate.value, spec.refusal)
            for spec, verdict in zip(self._gates, verdicts, strict=True)
            if verdict.verdict is Verdict.REJECT
        )


def _status_of(verdicts: tuple[GateVerdict, ...]) -> IntentStatus:
    said = {verdict.verdict for verdict in verdicts}
    if Verdict.REJECT in said:
        return IntentStatus.REJECTED
    return IntentStatus.PENDING if Verdict.DEFER in said else IntentStatus.APPROVED
