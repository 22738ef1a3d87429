"""Record of one operational gate of an exit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from services.exit_qualification.domain.gates.gate_input import GateInput

Detail = Mapping[str, object]
"""JSON-safe facts: str, int, bool, None and lists of str."""


class Gate(StrEnum):
    """Gates in the order of their stored verdicts."""

    TRADE_OPEN = "TRADE_OPEN"
    NO_LIVE_INTENT = "NO_LIVE_INTENT"
    COOLDOWN = "COOLDOWN"
    QTY_POSITIVE = "QTY_POSITIVE"
    DIRECTION = "DIRECTION"
    SESSION_PHASE = "SESSION_PHASE"
    BROKER_CONNECTED = "BROKER_CONNECTED"
    TOKEN_VALID = "TOKEN_VALID"  # noqa: S105  # a name, no secret
    KILL_SWITCH = "KILL_SWITCH"
    ROLLOUT = "ROLLOUT"
    TICK_SIZE = "TICK_SIZE"
    LOT = "LOT"
    FREEZE_QTY = "FREEZE_QTY"
    PRODUCT_MATCH = "PRODUCT_MATCH"
    TICK_FRESH = "TICK_FRESH"
    TICK_SANE = "TICK_SANE"
    CONFIRMED = "CONFIRMED"
    CIRCUIT_LOCKED = "CIRCUIT_LOCKED"


class Verdict(StrEnum):
    """PASS; REJECT is final for this intent; DEFER is evaluated again later."""

    PASS = "PASS"  # noqa: S105  # a verdict, not a secret
    REJECT = "REJECT"
    DEFER = "DEFER"


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """Verdict of one gate with its input."""

    gate: Gate
    verdict: Verdict
    detail: Detail

    def json(self) -> dict[str, object]:
        """Return the format stored on the intent's row."""
        return {"gate": self.gate.value, "verdict": self.verdict.value, "detail": dict(self.detail)}


@dataclass(frozen=True, slots=True)
class GateSpec:
    """One gate.

    The queues of the order process read the SQL conditions. A condition is never NULL and may name these rows of
    `GATE_ROWS`; all but `i`, `k` and `r` may be absent:

    - `i` exit_intents, `b` user_brokers, `k` kill_switch, `r` rollout;
    - `m` and `a` market_now of the symbol's exchange and of any exchange;
    - `p` market_prices of the symbol.

    Attributes
    ----------
    check:
        A pure function of the input; returns the verdict and the facts behind it.
    refusal:
        The sentence for an operator after a REJECT.
    defers_while:
        SQL condition, true exactly when `check` returns DEFER; None for a gate that never defers. An intent
        held back by it is not sent, and is qualified again only now and then.
    unsent_while:
        SQL condition for not sending an approved intent although `check` returns PASS; None for most.
    """

    gate: Gate
    check: Callable[[GateInput], tuple[Verdict, Detail]]
    refusal: str
    defers_while: str | None = None
    unsent_while: str | None = None

    def verdict_on(self, given: GateInput) -> GateVerdict:
        """Return the verdict on an exit. The same input always gives the same verdict."""
        return GateVerdict(self.gate, *self.check(given))


def reject_unless(passes: bool, detail: Detail) -> tuple[Verdict, Detail]:
    """Return PASS or REJECT with the facts."""
    return Verdict.PASS if passes else Verdict.REJECT, detail


def defer_unless(passes: bool, detail: Detail) -> tuple[Verdict, Detail]:
    """Return PASS or DEFER with the facts."""
    return Verdict.PASS if passes else Verdict.DEFER, detail
