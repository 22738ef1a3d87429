"""State machine of an ExitIntent. The database's trigger holds the same table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from shared.contracts.vocabulary import IntentStatus
from shared.errors import IllegalTransition

_S = IntentStatus

TRANSITIONS: Final[Mapping[IntentStatus, frozenset[IntentStatus]]] = MappingProxyType(
    {
        _S.PENDING: frozenset({_S.APPROVED, _S.REJECTED, _S.CANCELLED}),
        _S.APPROVED: frozenset({_S.SUBMITTING, _S.REJECTED, _S.CANCELLED}),
        _S.SUBMITTING: frozenset({_S.PLACED, _S.PARTIALLY_FILLED, _S.FILLED, _S.FAILED, _S.UNKNOWN, _S.APPROVED}),
        _S.UNKNOWN: frozenset({_S.PLACED, _S.PARTIALLY_FILLED, _S.FILLED, _S.CANCELLED, _S.FAILED}),
        _S.PLACED: frozenset({_S.PARTIALLY_FILLED, _S.FILLED, _S.CANCELLED, _S.FAILED}),
        _S.PARTIALLY_FILLED: frozenset({_S.PARTIALLY_FILLED, _S.FILLED, _S.CANCELLED}),
        _S.CANCELLED: frozenset({_S.FILLED}),
        _S.FAILED: frozenset({_S.FILLED}),
        _S.REJECTED: frozenset(),
        _S.FILLED: frozenset(),
    }
)
"""Allowed next statuses of each status."""

UNSENT: Final = frozenset({_S.PENDING, _S.APPROVED})
"""No order of the intent can be at the broker."""

AT_BROKER: Final = frozenset({_S.SUBMITTING, _S.UNKNOWN, _S.PLACED, _S.PARTIALLY_FILLED})
"""An order of the intent is, or may be, at the broker."""

ACCEPTED: Final = frozenset({_S.PLACED, _S.PARTIALLY_FILLED, _S.FILLED})
"""The broker has the order, so an error of sending it no longer applies."""

LIVE: Final = UNSENT | AT_BROKER
"""The intent may still change the position."""

PENDING_VIEW: Final = LIVE
"""Statuses shown by ``GET /exits/pending``."""

TERMINAL: Final = frozenset({_S.REJECTED, _S.FILLED, _S.CANCELLED, _S.FAILED})
"""Ended; only CANCELLED and FAILED can still change, by late fills of a sent order."""

ENDED_SHORT: Final = frozenset({_S.CANCELLED, _S.FAILED})
"""Ended with less than the whole quantity filled; fills of a sent order may still arrive."""


def check_transition(current: IntentStatus, wanted: IntentStatus, *, was_sent: bool) -> None:
    """Check a transition; raise if it is not allowed.

    Parameters
    ----------
    was_sent:
        Whether an order of the intent was ever handed to the broker; late fills are possible only then.

    Raises
    ------
    IllegalTransition
        The state machine does not allow this step.
    """
    late = current in ENDED_SHORT
    if wanted not in TRANSITIONS[current] or (late and not was_sent):
        raise IllegalTransition(f"an intent cannot go from {current} to {wanted}", current=current, wanted=wanted)
