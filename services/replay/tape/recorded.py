"""Recorded ticks, where they come from, and invalid lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from shared.contracts.ticks import Tick
from shared.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class RecordedTick:
    """A tick of a recording.

    Attributes
    ----------
    line:
        Number of its line, row, element or record, from 1.
    price:
        In 1/10,000 rupee.
    ts_us:
        Microseconds since 1970.
    arrived_ms:
        Arrival in Kafka, in milliseconds since 1970; the tick's own time if not recorded.
    between:
        Whether it is a point between the open and the close of a candle: the market passed every price on its way.
    """

    line: int
    symbol: str
    price: int
    ts_us: int
    seq: int = 0
    arrived_ms: int = 0
    between: bool = False

    @property
    def at_ms(self) -> int:
        """Return when it counts, in milliseconds since 1970."""
        return self.arrived_ms or self.ts_us // 1000

    @property
    def tick(self) -> Tick:
        """Return it in the form of the topic."""
        return Tick.of((self.symbol, self.price, self.ts_us, self.seq))


class Recording(Protocol):
    """Recorded ticks, in order for each symbol."""

    @property
    def name(self) -> str:
        """Return a short name for people."""

    def __iter__(self) -> Iterator[RecordedTick]:
        """Yield the ticks from the start."""

    def place(self, tick: RecordedTick) -> str:
        """Return where a tick stands."""

    def remarks(self) -> Iterator[str]:
        """Yield notes for a reader about the rows left out so far."""


class BadLine(InvalidInput):
    """An invalid line of a tick file."""

    code = "bad_line"

    def __init__(self, file: Path, line: int, what: str) -> None:
        super().__init__(f"{file}: line {line}: {what}")
        self.line = line


class BadRow(InvalidInput):
    """A row without a valid tick; its reader knows the line."""

    code = "bad_line"
