"""The operational gates of an exit: small pure functions, every one evaluated, each showing what it saw."""

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
    """What is asked of every exit."""

    TRADE_OPEN = "TRADE_OPEN"
    NO_LIVE_INTENT = "NO_LIVE_INTENT"
    COOLDOWN = "COOLDOWN"
    QTY_POSITIVE = "QTY_POSITIVE"
    DIRECTION = "DIRECTION"
    BROKER_CONNECTED = "BROKER_CONNECTED"
    KILL_SWITCH = "KILL_SWITCH"
    ROLLOUT = "ROLLOUT"


class Verdict(StrEnum):
    """PASS; REJECT is final for this intent; DEFER is asked again later."""

    PASS = "PASS"  # noqa: S105  # a verdict, not a secret
    REJECT = "REJECT"
    DEFER = "DEFER"


@dataclass(frozen=True, slots=True)
class Rollout:
    """How far the pipeline is switched on; the lists count only when the mode is limited."""

    mode: RolloutMode
    symbols: frozenset[str] = frozenset()
    user_broker_ids: frozenset[str] = frozenset()

    def match(self, symbol: str, user_broker_id: str) -> str | None:
        """What makes an exit executable: ``full``, ``symbol`` or ``user_broker_id``; None if nothing does."""
        if self.mode is RolloutMode.FULL:
            return "full"
        if self.mode is not RolloutMode.LIMITED:
            return None
        if symbol in self.symbols:
            return "symbol"
        return "user_broker_id" if user_broker_id in self.user_broker_ids else None


@dataclass(frozen=True, slots=True)
class GateInput:
    """All that the gates may look at, read under a lock on the trade's row.

    An intent that is qualified again does not count itself: neither in `wanted_by_live` nor in
    `has_live_intent`.

    Attributes
    ----------
    quantity:
        What the trade was opened with.
    filled_quantity:
        Sum of the trade's `exit_fills`.
    wanted_by_live:
        What the trade's live executable intents still want: sum of quantity less filled quantity.
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
        """What is left to exit; negative only if more was filled or is wanted than the trade has."""
        return self.quantity - self.filled_quantity - self.wanted_by_live

    @property
    def executable(self) -> bool:
        """Whether the rollout lets an order be sent."""
        return self.rollout.match(self.symbol, self.user_broker_id) is not None


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """One gate's answer, with the input that it was given on."""

    gate: Gate
    verdict: Verdict
    detail: Detail

    def json(self) -> dict[str, object]:
        """The form that is kept on the intent's row."""
        return {"gate": self.gate.value, "verdict": self.verdict.value, "detail": dict(self.detail)}


def trade_open(given: GateInput) -> GateVerdict:
    """REJECT unless the trade is OPEN."""
    passes = given.trade_status is TradeStatus.OPEN
    return _reject_unless(passes, Gate.TRADE_OPEN, {"trade_status": given.trade_status.value})


def no_live_intent(given: GateInput) -> GateVerdict:
    """REJECT if another exit of the trade is on its way or has filled."""
    return _reject_unless(not given.has_live_intent, Gate.NO_LIVE_INTENT, {"has_live_intent": given.has_live_intent})


def cooldown(given: GateInput) -> GateVerdict:
    """REJECT without an episode: the intent has no identity until the cooldown has ended."""
    return _reject_unless(
        given.episode_id is not None,
        Gate.COOLDOWN,
        {"exit_reason": given.exit_reason.value, "episode_id": given.episode_id},
    )


def qty_positive(given: GateInput) -> GateVerdict:
    """REJECT if nothing remains: quantity less fills less what live intents still want."""
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
    """REJECT an order that would not reduce the position."""
    return _reject_unless(
        given.order_side is reducing_side(given.direction),
        Gate.DIRECTION,
        {"direction": given.direction.value, "order_side": given.order_side.value},
    )


def broker_connected(given: GateInput) -> GateVerdict:
    """DEFER until the user's broker can be reached."""
    status = None if given.broker_status is None else given.broker_status.value
    return _defer_unless(
        given.broker_status is BrokerStatus.CONNECTED,
        Gate.BROKER_CONNECTED,
        {"user_broker_id": given.user_broker_id, "status": status},
    )


def kill_switch(given: GateInput) -> GateVerdict:
    """DEFER while everything is stopped, but never a manual flatten; ENTRIES_ONLY holds back no exit."""
    passes = given.kill_switch is not KillSwitchMode.ALL or given.exit_reason is ExitReason.MANUAL
    return _defer_unless(
        passes,
        Gate.KILL_SWITCH,
        {"mode": given.kill_switch.value, "exit_reason": given.exit_reason.value},
    )


def rollout(given: GateInput) -> GateVerdict:
    """Always PASS: where the rollout does not reach, the exit is written but marked not executable."""
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
"""In the order in which their verdicts are kept."""


def refusal_of(gate: Gate) -> str:
    """Return what a REJECT of this gate says to people; a gate without a sentence does not pass the type checker."""
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
