"""Prices of a symbol around a past time, from the topic of ticks: the levels within a rule's reach."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final, Self

from services.cli.support.tapes.topic_range import TopicRange
from services.cli.support.tapes.topic_tape import TopicTape
from services.replay.tape.format import TapeFormat
from services.replay.tape.recorded import RecordedTick
from shared.clock import TRADING_ZONE
from shared.contracts.topics import MARKET_TICKS
from shared.errors import InvalidInput
from shared.money import from_units, money_text
from shared.settings import Settings

EITHER_SIDE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class PricesAround:
    """Prices of the minute before and the minute after a time, in rupees; None without a tick."""

    since: datetime
    until: datetime
    ticks: int
    first: Decimal | None
    low: Decimal | None
    high: Decimal | None
    last: Decimal | None

    @classmethod
    def of(cls, at: datetime, ticks: Iterable[RecordedTick]) -> Self:
        """Return the prices of these ticks around a time."""
        prices = [from_units(tick.price) for tick in ticks]
        first, last = (prices[0], prices[-1]) if prices else (None, None)
        return cls(
            at - EITHER_SIDE,
            at + EITHER_SIDE,
            len(prices),
            first,
            min(prices, default=None),
            max(prices, default=None),
            last,
        )

    def reached(self, rule: Mapping[str, Any]) -> bool | None:
        """Return whether a price reached a rule's present level; None if its condition is not a price."""
        if rule["level"] is None or self.low is None or self.high is None:
            return None
        level = Decimal(rule["level"])
        return self.low <= level if rule["reached"] == "at or below" else self.high >= level

    def facts(self) -> dict[str, Any]:
        """Return the values as JSON shows them."""
        return {name: _text(value) for name, value in asdict(self).items()}


def prices_around(settings: Settings, symbol: str, at: datetime) -> PricesAround:
    """Read the ticks of a symbol around a time; Kafka keeps them as long as its retention says."""
    since, until = (round((at + side).timestamp() * 1000) for side in (-EITHER_SIDE, EITHER_SIDE))
    topic_range = TopicRange(MARKET_TICKS, since_ms=since, until_ms=until)
    return PricesAround.of(at, TopicTape(settings, topic_range, TapeFormat(symbol=symbol)))


def past_time(text: str, now: datetime) -> datetime:
    """Return a time: `10:05` or `10:05:30` of today in Asia/Kolkata, or RFC 3339.

    Raises
    ------
    InvalidInput
        The text is no time, or has a date without a zone.
    """
    try:
        if "T" not in text:
            return datetime.combine(now.astimezone(TRADING_ZONE), time.fromisoformat(text), TRADING_ZONE)
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"{text!r} is no time; give 10:05 of today, or 2026-01-13T10:05:00+05:30") from error
    if found.tzinfo is None:
        raise InvalidInput(f"{text!r} has no zone; give 2026-01-13T10:05:00+05:30")
    return found


def _text(value: Any) -> Any:
    if isinstance(value, Decimal):
        return money_text(value)
    return value.isoformat() if isinstance(value, datetime) else value
