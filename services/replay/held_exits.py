"""Exits detected while their exchange was closed."""

from __future__ import annotations

from datetime import timedelta

from services.exit_qualification.domain.candidates import ExitCandidate
from services.exit_qualification.domain.level_index import RuleKey
from services.exit_qualification.domain.market_calendar import Calendars, exchange_of
from services.exit_qualification.domain.open_trade import OpenTrade
from shared.contracts.vocabulary import MarketPhase
from shared.instants import EPOCH


class HeldExits:
    """Exits of one exchange waiting for an open session, as at the gate SESSION_PHASE."""

    def __init__(self, symbol: str, calendars: Calendars) -> None:
        self._exchange = exchange_of(symbol)
        self._calendars = calendars
        self._held: dict[RuleKey, tuple[OpenTrade, ExitCandidate]] = {}

    def __bool__(self) -> bool:
        """Return whether one waits."""
        return bool(self._held)

    def must_wait(self, at_ms: int) -> bool:
        """Return whether the exchange is closed at a time, in milliseconds since 1970; False without a calendar."""
        phase = self._calendars.phase(self._exchange, EPOCH + timedelta(milliseconds=at_ms))
        return phase not in (None, MarketPhase.OPEN)

    def hold(self, trade: OpenTrade, candidate: ExitCandidate) -> None:
        """Keep an exit."""
        self._held[candidate.rule_key] = trade, candidate

    def take(self) -> list[tuple[OpenTrade, ExitCandidate]]:
        """Return all exits, highest rank first, and keep none."""
        found = sorted(self._held.values(), key=lambda each: each[1].exit_reason.rank)
        self._held.clear()
        return found
