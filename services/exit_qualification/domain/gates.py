"""Operational gates of an exit: small pure functions, all evaluated, each recording its inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, assert_never

from services.exit_qualification.domain.order_terms import BrokerStatus, OrderSide, reducing_side
from shared.contracts.vocabulary import (
    Direction,
    ExitReason,
    KillSwitchMode,
    ProductType,
    RolloutMode,
    TradeStatus,
)

Detail = Mapping[str, object]
"""JSON-safe facts: str, int, bool, None and lists of str."""


class Gate(StrEnum):
    """Checks applied to every exit."""

    TRADE_OPEN = "TRADE_OPEN"
    NO_LIVE_INTENT = "NO_LIVE_INTENT"
    COOLDOWN = "COOLDOWN"
    QTY_POSITIVE = "QTY_POSITIVE"
    DIRECTION = "DIRECTION"
    BROKER_CONNECTED = "BROKER_CONNECTED"
    KILL_SWITCH = "KILL_SWITCH"
    ROLLOUT = "ROLLOUT"


class Verdict(StrEnum):
    """PASS; REJECT is final for this intent; DEFER is evaluated again later."""

    PASS = "PASS"  # noqa: S105  # a verdict, not a secret
    REJECT = "REJECT"
    DEFER = "DEFER"


@dataclass(frozen=True, slots=True)
class Rollout:
    """Rollout of the pipeline; the lists apply only when the mode is limited."""

    mode: RolloutMode
    symbols: frozenset[str] = frozenset()
    user_broker_ids: frozenset[str] = frozenset()

    def match(self, symbol: str, user_broker_id: str) -> str | None:
        """Return why an exit is executable: ``full``, ``symbol`` or ``user_broker_id``; None if it is not."""
        if self.mode is RolloutMode.FULL:
            return "full"
        if self.mode is not RolloutMode.LIMITED:
            return None
        if symbol in self.symbols:
            return "symbol"
        return "user_broker_id" if user_broker_id in self.user_broker_ids else None


@dataclass(frozen=True, slots=True)
class GateInput:
    """Input of the gates, read under a lock on the trade's row.

    An intent under requalification is counted neither in `wanted_by_live` nor in `has_live_intent`.

    Attributes
    ----------
    quantity:
        Quantity at the opening of the trade.
    filled_quantity:
        Sum of the trade's `exit_fills`.
    wanted_by_live:
        Open quantity of the trade's live executable intents: sum of quantity less filled quantity.
    episode_id:
        None while the cooldown of (trade, reason) holds.
    broker_status:
        None if the user broker is not known.
    """

    symbol: str
    user_broker_id: str
    trade_status: TradeStatus
    direction: Direction
    product_type: ProductType
    quantity: int
    exit_reason: ExitReason
    order_side: OrderSide
    filled_quantity: int
    wanted_by_live: int
    has_live_intent: bool
    episode_id: int | None
    broker_status: BrokerStatus | None
    kill_switch: KillSwitchMode
    rollout: Rollout

    @property
    def remaining(self) -> int:
        """Return the quantity left to exit; negative if more was filled or ordered than the trade has."""
        return self.quantity - self.filled_quantity - self.wanted_by_live

    @property
    def executable(self) -> bool:
        """Return whether the rollout allows an order to be sent."""
        return self.rollout.match(self.symbol, self.user_broker_id) is not None


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """Verdict of one gate with its input."""

    gate: Gate
    verdict: Verdict
    detail: Detail

    def json(self) -> dict[str, object]:
        """Return the format stored on the intent's row."""
        return {"gate": self.gate.value, "verdict": self.verdict.value, "detail": dict(self.detail)}


def trade_open(given: GateInput) -> GateVerdict:
    """Return REJECT unless the trade is OPEN."""
    passes = given.trade_status is TradeStatus.OPEN
    return _reject_unless(passes, Gate.TRADE_OPEN, {"trade_status": given.trade_status.value})


def no_live_intent(given: GateInput) -> GateVerdict:
    """Return REJECT if another exit of the trade is in progress or has filled."""
    return _reject_unless(not given.has_live_intent, Gate.NO_LIVE_INTENT, {"has_live_intent": given.has_live_intent})


def cooldown(given: GateInput) -> GateVerdict:
    """Return REJECT without an episode: the intent has no identity until the cooldown has ended."""
    return _reject_unless(
        given.episode_id is not None,
        Gate.COOLDOWN,
        {"exit_reason": given.exit_reason.value, "episode_id": given.episode_id},
    )


def qty_positive(given: GateInput) -> GateVerdict:
    """Return REJECT if nothing remains: quantity less fills less the quantity of live intents."""
    return _reject_unless(
        given.remaining > 0,
        Gate.QTY_POSITIVE,
        {
            "quantity": given.quantity,
            "filled_quantity": given.filled_quantity,
            "wanted_by_live": given.wanted_by_live,
            "remaining": given.remaining,
        },
    )


def direction(given: GateInput) -> GateVerdict:
    """Return REJECT for an order that would not reduce the position."""
    return _reject_unless(
        given.order_side is reducing_side(given.direction),
        Gate.DIRECTION,
        {"direction": given.direction.value, "order_side": given.order_side.value},
    )


def broker_connected(given: GateInput) -> GateVerdict:
    """Return DEFER until the user's broker can be reached."""
    status = None if given.broker_status is None else given.broker_status.value
    return _defer_unless(
        given.broker_status is BrokerStatus.CONNECTED,
        Gate.BROKER_CONNECTED,
        {"user_broker_id": given.user_broker_id, "status": status},
    )


def kill_switch(given: GateInput) -> GateVerdict:
    """Return DEFER while ALL is set, except for manual exits; ENTRIES_ONLY holds back no exit."""
    passes = given.kill_switch is not KillSwitchMode.ALL or given.exit_reason is ExitReason.MANUAL
    return _defer_unless(
        passes,
        Gate.KILL_SWITCH,
        {"mode": given.kill_switch.value, "exit_reason": given.exit_reason.value},
    )


def rollout(given: GateInput) -> GateVerdict:
    """Return PASS always: outside the rollout the exit is written but marked not executable."""
    return GateVerdict(
        Gate.ROLLOUT,
        Verdict.PASS,
        {
            "mode": given.rollout.mode.value,
            "matched": given.rollout.match(given.symbol, given.user_broker_id),
            "executable": given.executable,
            "symbol": given.symbol,
            "user_broker_id": given.user_broker_id,
        },
    )


def _reject_unless(passes: bool, gate: Gate, detail: Detail) -> GateVerdict:
    return GateVerdict(gate, Verdict.PASS if passes else Verdict.REJECT, detail)


def _defer_unless(passes: bool, gate: Gate, detail: Detail) -> GateVerdict:
    return GateVerdict(gate, Verdict.PASS if passes else Verdict.DEFER, detail)


GATES: Final[tuple[Callable[[GateInput], GateVerdict], ...]] = (
    trade_open,
    no_live_intent,
    cooldown,
    qty_positive,
    direction,
    broker_connected,
    kill_switch,
    rollout,
)
"""Gates in the order of their stored verdicts."""


def refusal_of(gate: Gate) -> str:
    """Return the message for a REJECT of this gate; the type checker requires one for every gate."""
    match gate:
        case Gate.TRADE_OPEN:
            return "the trade is not open"
        case Gate.NO_LIVE_INTENT:
            return "another exit of the trade is live or filled"
        case Gate.COOLDOWN:
            return "the cooldown of this trade and reason has not ended"
        case Gate.QTY_POSITIVE:
            return "nothing is left to exit"
        case Gate.DIRECTION:
            return "the order would not reduce the position"
        case Gate.BROKER_CONNECTED:
            return "the user broker is not connected"
        case Gate.KILL_SWITCH:
            return "the kill switch stops exits"
        case Gate.ROLLOUT:
            return "the rollout does not include this exit"
        case _:
            assert_never(gate)
