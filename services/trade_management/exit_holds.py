"""Holds of exits while the terms of their trades change."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from services.trade_management.domain.trade import StoredTrade
from services.trade_management.live_exits import ExitsNotKnown, ExitStanding, LiveExits, Versions

log = logging.getLogger(__name__)

HOLD_S: Final = 60
"""Longest hold without a version: from the look at the exits to the change of their trades."""


class ExitHolds:
    """Holds of one request. Between its look at live exits and the change of the trades no order is sent.

    Without `is_held`, as for a dry run, it only looks.
    """

    def __init__(self, exits: LiveExits, *, is_held: bool) -> None:
        self._exits = exits
        self._hold_s = HOLD_S if is_held else None
        self._standings: dict[UUID, ExitStanding] = {}

    def hold(self, trade_ids: Sequence[UUID]) -> None:
        """Hold the exits of these trades, then look at them.

        Raises
        ------
        ExitsNotKnown
            exit-api does not hold or tell them.
        """
        if trade_ids:
            self._standings |= dict.fromkeys(trade_ids, ExitStanding(is_live=True, filled_quantity=0))
            self._standings |= self._exits.standings(trade_ids, self._hold_s)

    def obstacle(self, symbol: str, trades: Sequence[StoredTrade]) -> str | None:
        """Return why these trades, locked after their hold, cannot change now; None if they can."""
        standings = {trade.trade_id: self._standings.get(trade.trade_id) for trade in trades}
        if None in standings.values():
            return f"trades on {symbol} were opened meanwhile; try again"
        live = [str(trade_id) for trade_id, it in standings.items() if it and it.is_live]
        if live:
            return f"exits on {symbol} are live, of trades {', '.join(live)}; wait until they end, or withdraw them"
        closed = {trade.trade_id: trade.quantity - trade.open_quantity for trade in trades}
        behind = [str(it) for it, standing in standings.items() if standing and standing.filled_quantity != closed[it]]
        if behind:
            return f"fills of trades {', '.join(behind)} are not booked yet; try again in a moment"
        return None

    def keep(self, versions: Versions) -> None:
        """Hold these trades until their exits know these versions, whatever becomes of the commit.

        A commit without an answer may have happened, so nothing ends such a hold but the change itself. If it did not
        happen, applying the action again brings the same version.

        Raises
        ------
        ExitsNotKnown
            exit-api does not answer, the holds had ended, or fills have been added since the exits were looked at. An
            exit detected meanwhile is none of these: it waits for the end of the hold.
        """
        if self._hold_s is None or not versions:
            return
        try:
            self._extend(versions)
        except ExitsNotKnown:
            self._withdraw(versions)  # an error may hide a stored hold
            raise

    def _extend(self, versions: Versions) -> None:
        now = self._exits.standings(list(versions), self._hold_s, versions)
        if not all(now[trade_id].follows(self._standings[trade_id]) for trade_id in versions):
            raise ExitsNotKnown("exits of these trades have moved meanwhile; try again")

    def _withdraw(self, versions: Versions) -> None:
        try:
            self._exits.standings(list(versions), 0, versions)
        except ExitsNotKnown as error:
            log.error("the exits of %d trades may be held until this action is applied again: %s", len(versions), error)

    def release(self) -> None:
        """End the holds without a version; if exit-api does not answer, they end by themselves."""
        if self._hold_s is None or not self._standings:
            return
        try:
            self._exits.standings(list(self._standings), 0)
        except ExitsNotKnown as error:
            log.warning("the exits of %d trades are held for up to %d s: %s", len(self._standings), HOLD_S, error)
