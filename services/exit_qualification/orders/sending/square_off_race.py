"""Race with the broker's square-off: an exit must not sell shares already squared off by the broker."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.square_off import SquareOff
from services.exit_qualification.orders.brokers.port import BrokerUnavailable, NotAccepted
from services.exit_qualification.orders.log_lines import of_exit
from services.exit_qualification.orders.metrics import SQUARE_OFF_RACE_WAITS
from services.exit_qualification.orders.reconciling.broker_positions import positions_by_key
from services.exit_qualification.orders.sending.order_claims import Claim, Submission
from services.exit_qualification.storage.broker_positions import BrokerPositionRepository
from services.exit_qualification.storage.market_calendars import CalendarRepository
from shared.clock import Clock
from shared.instants import epoch_ms
from shared.outbox.unit_of_work import UnitOfWork

log = logging.getLogger(__name__)

SQUARE_OFF_RACE: Final = "SQUARE_OFF_RACE"
"""Error code of an exit waiting because the broker's square-off may have taken its position."""
CALENDARS_S: Final = 60.0
"""Older calendars are read again."""


class SquareOffRace:
    """Holds back exits of trades whose square-off time has passed, unless a fresh read of the positions covers them.

    Other exits cost nothing. Threads can share it. A position too small is explained by `ExternalExits`: it
    adopts the fills behind the shortage and withdraws the exit.

    Parameters
    ----------
    default:
        Square-off times where no calendar gives one.
    """

    def __init__(self, open_unit: Callable[[], UnitOfWork], default: SquareOff, clock: Clock) -> None:
        self._open_unit = open_unit
        self._square_off = default
        self._clock = clock
        self._calendars_until_s = 0.0

    def withheld(self, claim: Claim) -> dict[UUID, NotAccepted]:
        """Return the exits of a claim not to be sent now, with the reason; all while the database fails."""
        try:
            late = self._late(claim.submissions)
            return _held_back(late, self._shortfalls(claim, late)) if late else {}
        except BrokerUnavailable as error:
            return _held_back(late, {it.intent_id: f"the positions could not be read: {error}" for it in late})
        except SQLAlchemyError as error:
            reason = f"its square-off time could not be judged: {type(error).__name__}"
            return {it.intent.intent_id: NotAccepted(reason, was_sent=False) for it in claim.submissions}

    def _shortfalls(self, claim: Claim, late: Sequence[ExitIntent]) -> dict[UUID, str]:
        """Return why positions do not cover these exits, by exit.

        Positions are read first and our own rows last: fills of our orders in between make a position look larger
        than the trades need, never smaller.

        Raises
        ------
        BrokerUnavailable
            The positions could not be read; unknown is not flat.
        """
        positions = positions_by_key(claim.broker, [(it.symbol, it.product_type.value) for it in late])
        account = claim.account.user_broker_id
        with self._open_unit() as uow:
            rows = BrokerPositionRepository(uow.connection)
            needed = rows.needed([account]).get(account, {})
            at_work = rows.at_work(account, but_for=[each.intent.intent_id for each in claim.submissions])
        found = {}
        for intent in late:
            key = intent.symbol, intent.product_type.value
            missing = (needed.get(key, 0) - positions.get(key, 0)) * intent.direction.sign
            missing -= at_work.get((*key, intent.direction), 0)  # these orders may have filled since
            if missing > 0:
                found[intent.intent_id] = f"the account holds {missing} of {' '.join(key)} less than its trades need"
        return found

    def seems_late(self, intent: ExitIntent, entered_at_ms: int) -> bool:
        """Return whether the square-off time of an exit's trade has passed, by the calendars as last read.

        It does not ask the database: its callers have a transaction open, and hold locks.
        """
        return self._is_late(self._square_off, intent, entered_at_ms)

    def _late(self, submissions: Sequence[Submission]) -> list[ExitIntent]:
        """Return the exits of trades whose square-off time has passed.

        Raises
        ------
        SQLAlchemyError
            The calendars could not be read.
        """
        times = self._times()
        return [each.intent for each in submissions if self._is_late(times, each.intent, each.entered_at_ms)]

    def _is_late(self, times: SquareOff, intent: ExitIntent, entered_at_ms: int) -> bool:
        at_ms = times.after_entry_ms(intent.symbol, intent.product_type, entered_at_ms)
        return at_ms is not None and at_ms <= epoch_ms(self._clock.now())

    def _times(self) -> SquareOff:
        now_s = self._clock.monotonic()
        if now_s >= self._calendars_until_s:
            with self._open_unit() as uow:
                calendars = CalendarRepository(uow.connection).calendars()
            self._square_off = replace(self._square_off, calendars=calendars)
            self._calendars_until_s = now_s + CALENDARS_S
        return self._square_off


def _held_back(late: Sequence[ExitIntent], reasons: Mapping[UUID, str]) -> dict[UUID, NotAccepted]:
    held = [(intent, reasons[intent.intent_id]) for intent in late if intent.intent_id in reasons]
    for intent, reason in held:
        SQUARE_OFF_RACE_WAITS.inc()
        log.warning("intent %s is past its square-off and waits: %s", intent.intent_id, reason, extra=of_exit(intent))
    return {
        intent.intent_id: NotAccepted(f"its square-off time has passed, and {reason}", SQUARE_OFF_RACE, was_sent=False)
        for intent, reason in held
    }
