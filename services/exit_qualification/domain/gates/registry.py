"""GATES: one record for every gate; the SQL conditions of the queues are put together from them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, assert_never

from services.exit_qualification.domain.gates.broker_connected import BROKER_CONNECTED
from services.exit_qualification.domain.gates.circuit_locked import CIRCUIT_LOCKED
from services.exit_qualification.domain.gates.confirmed import CONFIRMED
from services.exit_qualification.domain.gates.cooldown import COOLDOWN
from services.exit_qualification.domain.gates.direction import DIRECTION
from services.exit_qualification.domain.gates.freeze_qty import FREEZE_QTY
from services.exit_qualification.domain.gates.gate import Gate, GateSpec
from services.exit_qualification.domain.gates.kill_switch import KILL_SWITCH
from services.exit_qualification.domain.gates.lot import LOT
from services.exit_qualification.domain.gates.no_live_intent import NO_LIVE_INTENT
from services.exit_qualification.domain.gates.product_match import PRODUCT_MATCH
from services.exit_qualification.domain.gates.qty_positive import QTY_POSITIVE
from services.exit_qualification.domain.gates.rollout import ROLLOUT
from services.exit_qualification.domain.gates.session_phase import SESSION_PHASE
from services.exit_qualification.domain.gates.tick_fresh import TICK_FRESH
from services.exit_qualification.domain.gates.tick_sane import TICK_SANE
from services.exit_qualification.domain.gates.tick_size import TICK_SIZE
from services.exit_qualification.domain.gates.token_valid import TOKEN_VALID
from services.exit_qualification.domain.gates.trade_open import TRADE_OPEN


def spec_of(gate: Gate) -> GateSpec:
    """Return the record of a gate; mypy refuses a gate without one."""
    match gate:
        case Gate.TRADE_OPEN:
            return TRADE_OPEN
        case Gate.NO_LIVE_INTENT:
            return NO_LIVE_INTENT
        case Gate.COOLDOWN:
            return COOLDOWN
        case Gate.QTY_POSITIVE:
            return QTY_POSITIVE
        case Gate.DIRECTION:
            return DIRECTION
        case Gate.SESSION_PHASE:
            return SESSION_PHASE
        case Gate.BROKER_CONNECTED:
            return BROKER_CONNECTED
        case Gate.TOKEN_VALID:
            return TOKEN_VALID
        case Gate.KILL_SWITCH:
            return KILL_SWITCH
        case Gate.ROLLOUT:
            return ROLLOUT
        case Gate.TICK_SIZE:
            return TICK_SIZE
        case Gate.LOT:
            return LOT
        case Gate.FREEZE_QTY:
            return FREEZE_QTY
        case Gate.PRODUCT_MATCH:
            return PRODUCT_MATCH
        case Gate.TICK_FRESH:
            return TICK_FRESH
        case Gate.TICK_SANE:
            return TICK_SANE
        case Gate.CONFIRMED:
            return CONFIRMED
        case Gate.CIRCUIT_LOCKED:
            return CIRCUIT_LOCKED
        case _:
            assert_never(gate)


GATES: Final[tuple[GateSpec, ...]] = tuple(spec_of(gate) for gate in Gate)
ACCOUNT_GATES: Final = (BROKER_CONNECTED, TOKEN_VALID)
"""Gates that hold every exit of an account, or none."""
QUOTED_GATES: Final = (TICK_FRESH, TICK_SANE, CIRCUIT_LOCKED)
"""Gates possibly opened by a new quote of the broker."""


def deferred_sql(gates: Iterable[GateSpec] = GATES) -> str:
    """Return the SQL condition, true exactly when at least one gate defers an intent."""
    return _any_of(spec.defers_while for spec in gates)


def unsent_sql() -> str:
    """Return the SQL condition for not sending an approved intent."""
    return _any_of(condition for spec in GATES for condition in (spec.defers_while, spec.unsent_while))


def _any_of(conditions: Iterable[str | None]) -> str:
    """Return the conditions joined by OR, in parentheses; false if there are none."""
    return f"({' OR '.join(f'({condition})' for condition in conditions if condition) or 'false'})"
