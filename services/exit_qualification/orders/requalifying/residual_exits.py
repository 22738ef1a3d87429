"""Residual exits: stop and manual exits that ended with quantity left."""

from __future__ import annotations

from collections import defaultdict
from uuid import UUID

from services.exit_qualification.domain.candidates import ExitCandidate, ExitCandidates
from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.domain.residual import Residual
from services.exit_qualification.orders.context import OrderContext
from services.exit_qualification.signal_management_service import SignalManagementService
from services.exit_qualification.storage.open_trades import OpenTradeRepository
from services.exit_qualification.storage.operator_controls import SwitchRepository
from services.exit_qualification.storage.residuals import ResidualRepository
from shared.contracts.vocabulary import ExitReason
from shared.instants import epoch_us
from shared.money import to_units


class ResidualExits:
    """Re-issues stop and manual exits that ended with quantity left, without waiting for a new tick.

    Not thread-safe.
    """

    def __init__(self, context: OrderContext, signals: SignalManagementService) -> None:
        self._open_unit = context.open_unit
        self._open_look = context.open_look
        self._pause_s = context.terms.backoff_first_s  # between two orders of a manual exit, in place of a cooldown
        self._clock = context.clock
        self._skipped = context.skipped
        self._signals = signals

    def exit_once(self) -> bool:
        """Write an exit for every eligible remainder; return False, because the next run comes after a wait."""
        with self._open_look() as connection:
            seen = ResidualRepository(connection).find(self._pause_s)
        for trade_id in sorted({remainder.trade_id for remainder in seen}):
            with self._skipped.skipping(trade_id):
                self._exit(trade_id)
        return False

    def _exit(self, trade_id: UUID) -> None:
        """Write the exit of one trade in a separate transaction.

        Raises
        ------
        RowHeld
            Another transaction holds the trade.
        """
        with self._open_unit() as uow:
            trades = OpenTradeRepository(uow.connection)
            trades.lock_now(trade_id)
            trade = trades.lock([trade_id])[trade_id].trade
            switches = SwitchRepository(uow.connection).read()
            if switches.rollout.match(trade.symbol, trade.user_broker_id) is None:
                return  # it would be written repeatedly and never sent
            still = ResidualRepository(uow.connection).of_trade(trade_id, self._pause_s)  # read again under the lock
            self._signals.on_exits_detected(uow, self._candidates({trade_id: trade}, still), switches)
            uow.commit()

    def _candidates(self, trades: dict[UUID, OpenTrade], remainders: list[Residual]) -> list[ExitCandidates]:
        at_us = epoch_us(self._clock.now())
        by_trade: dict[UUID, list[ExitCandidate]] = defaultdict(list)
        for remainder in remainders:
            if trades[remainder.trade_id].has_dropped(remainder.reason):
                continue  # a changed plan has no such rule any more
            by_trade[remainder.trade_id].append(_candidate(trades[remainder.trade_id], remainder, at_us))
        return [
            ExitCandidates(trades[trade_id], tuple(sorted(found, key=lambda candidate: candidate.exit_reason.rank)))
            for trade_id, found in by_trade.items()
        ]


def _candidate(trade: OpenTrade, remainder: Residual, at_us: int) -> ExitCandidate:
    price = None if remainder.price is None or remainder.reason is ExitReason.MANUAL else to_units(remainder.price)
    return ExitCandidate(trade.trade_id, trade.symbol, remainder.reason, detected_price=price, detected_at_us=at_us)
