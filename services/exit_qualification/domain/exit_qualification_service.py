"""Operational qualification: decides whether a detected exit may be ordered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from services.exit_qualification.domain.gates.gate import GateSpec, GateVerdict, Verdict
from services.exit_qualification.domain.gates.gate_input import GateInput
from services.exit_qualification.domain.gates.holds import Stored, with_holds
from services.exit_qualification.domain.gates.registry import GATES
from services.exit_qualification.domain.order_terms import OrderType
from shared.contracts.vocabulary import IntentStatus, ProductType


@dataclass(frozen=True, slots=True)
class QualificationError:
    """Refusal by one gate: its name as the code, and a sentence."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ExitQualificationResult:
    """Gate results of one exit.

    Attributes
    ----------
    status:
        APPROVED if every gate passed, REJECTED if one rejected, else PENDING (to be qualified again).
    passed:
        True exactly when `status` is APPROVED.
    errors:
        One per rejecting gate; empty unless REJECTED.
    calculated_qty:
        Quantity of the order: the trade's remaining quantity, or the leg's part of it; possibly 0.
    limit_price:
        Rupees; None for a MARKET order.
    executable:
        False if the rollout excludes the exit: it is written and published, never sent.
    verdicts:
        Verdicts of all gates, in their fixed order.
    beside_leg:
        Whether the quantity leaves out a live leg's.
    """

    status: IntentStatus
    errors: tuple[QualificationError, ...]
    calculated_qty: int
    order_type: OrderType
    limit_price: Decimal | None
    product_type: ProductType
    executable: bool
    verdicts: tuple[GateVerdict, ...]
    beside_leg: bool = False

    @property
    def passed(self) -> bool:
        """Return whether every gate passed."""
        return self.status is IntentStatus.APPROVED

    def verdicts_json(self) -> list[dict[str, object]]:
        """Return the verdicts in the format of the intent's row."""
        return [verdict.json() for verdict in self.verdicts]

    def verdicts_after(self, before: Iterable[Stored], now: datetime) -> list[dict[str, object]]:
        """Return the verdicts in that format, with the holds that ended, by the stored verdicts before."""
        return with_holds(self.verdicts, before, now)

    def errors_json(self) -> list[dict[str, str]]:
        """Return the errors in the format of the intent's row."""
        return [{"code": error.code, "message": error.message} for error in self.errors]


class ExitQualificationService:
    """Evaluates every gate, even after a refusal, so operators see every obstacle."""

    def __init__(self, gates: tuple[GateSpec, ...] = GATES) -> None:
        self._gates = gates

    def qualify(self, request: GateInput) -> ExitQualificationResult:
        """Return the result for one exit. The same request always gives the same result."""
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
            beside_leg=request.beside_leg,
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
