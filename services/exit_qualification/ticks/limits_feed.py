"""Circuit limits of the day for the engine of a worker, as the quotes of brokers bring them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, Engine

from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.storage.market_quotes import QuoteRepository
from services.exit_qualification.ticks.held_ticks import HeldTicks
from services.exit_qualification.ticks.metrics import shown
from shared.postgres.engine import look

log = logging.getLogger(__name__)

LOOK_S: Final = 2.0
"""Pause between looks for new limits."""
ANSWER_LOOK_S: Final = 0.1
"""The same while ticks wait for them."""
_OVERLAP: Final = timedelta(seconds=10)
"""A quote is stored within this time of its stamp, so none is passed over."""
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class NewLimits:
    """Symbols with changed limits, and symbols with held ticks that can be decided now."""

    changed: list[str]
    decided: list[str]


class LimitsFeed:
    """Gives an engine the circuit limits in the database, and asks for quotes of symbols with ticks beyond them.

    The exchange may have moved the limits since the last quote: exits of the symbol must not wait for minutes.
    """

    def __init__(self, database: Engine) -> None:
        self._database = database
        self._since = _NEVER
        self._looked_s = -LOOK_S

    def load(self, connection: Connection, engine: ExitSignalService) -> None:
        """Give a new engine all limits of today."""
        self._since = _NEVER
        self._read(QuoteRepository(connection), engine)

    def next_s(self, held: HeldTicks) -> float:
        """Return when to look again: soon while ticks wait."""
        return self._looked_s + (ANSWER_LOOK_S if held else LOOK_S)

    def follow(self, engine: ExitSignalService, held: HeldTicks, now_s: float) -> NewLimits:
        """Give the engine limits that changed, at intervals, and ask for those that held ticks need.

        Write a checkpoint of the changed symbols before their held ticks are judged.
        """
        if now_s < self.next_s(held):
            return NewLimits([], [])
        self._looked_s = now_s
        with look(self._database) as connection:
            quotes = QuoteRepository(connection)
            asked, overdue = held.asked, held.overdue(now_s)
            self._ask(quotes, held, now_s)
            answered = quotes.answered(asked) if asked else []  # before the limits, so they are those of the answer
            changed = self._read(quotes, engine)
        late = [symbol for symbol in overdue if symbol not in answered]
        if late:
            log.warning("%s: no quote came; ticks beyond the known circuit limits are dropped", shown(late))
        return NewLimits(changed, [*answered, *late])

    def _ask(self, quotes: QuoteRepository, held: HeldTicks, now_s: float) -> None:
        unasked = held.unasked(now_s)
        if not unasked:
            return
        log.warning("%s: ticks are beyond the circuit limits; asking for a quote", shown(unasked))
        held.ask(quotes.want(unasked))

    def _read(self, quotes: QuoteRepository, engine: ExitSignalService) -> list[str]:
        limits, newest = quotes.limits_since(self._since)
        if newest is not None:
            self._since = newest - _OVERLAP
        return engine.books.limit(limits)
