"""TapeFormat: how to read the fields of a recorded tick."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, tzinfo
from enum import StrEnum

FIELDS = ("symbol", "ltp", "ts", "seq", "arrived", "open", "high", "low", "close")
"""Names of the fields; a file has other names by `TapeFormat.columns`."""


class Epoch(StrEnum):
    """Unit of a time in numbers since 1970."""

    SECONDS = "s"
    MILLISECONDS = "ms"
    MICROSECONDS = "us"

    @property
    def in_us(self) -> int:
        """Return its microseconds."""
        return {Epoch.SECONDS: 1_000_000, Epoch.MILLISECONDS: 1_000, Epoch.MICROSECONDS: 1}[self]


class CandlePath(StrEnum):
    """Order of the prices of a candle."""

    AUTO = "auto"
    """Low first if it closes at or above its open, else high first."""
    HIGH_FIRST = "high-first"
    LOW_FIRST = "low-first"


@dataclass(frozen=True, slots=True)
class TapeFormat:
    """What a file does not say itself.

    Attributes
    ----------
    columns:
        The file's name of each field, see `FIELDS`; a field not listed here has its own name.
    symbol:
        Of a file without symbols; of other files, only its ticks are read.
    exchange:
        Of symbols without one.
    zone:
        Of times without a zone.
    date:
        Of times without a date; other days are not read.
    epoch:
        Unit of times in numbers; None refuses them.
    skip_bad:
        Whether invalid lines are counted and left out; otherwise the first one ends the reading.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    symbol: str | None = None
    exchange: str | None = None
    zone: tzinfo | None = None
    date: date | None = None
    epoch: Epoch | None = None
    candles: CandlePath = CandlePath.AUTO
    skip_bad: bool = False

    def column(self, name: str) -> str:
        """Return the file's name of a field."""
        return self.columns.get(name, name)
