"""Ticks beyond known circuit limits, and those after them: held until the broker tells newer limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import Final

from confluent_kafka import Message

from shared.kafka.clients import home_partition
from shared.kafka.consuming import offset_of

HOLD_S: Final = 3.0
"""Longest wait for the answer of a broker; then the known limits decide."""
MOST_HELD: Final = 10_000
"""Most ticks held of a symbol; with more, the known limits decide."""

HeldTick = tuple[Message, tuple[str, int, int, int, int]]
"""A record, and its tick: symbol, price, stamp, seq and arrival, as for `ExitSignalService.on_tick`."""


class HeldTicks:
    """Ticks of symbols not judged yet, from the first one beyond the limits on.

    The exchange may have moved the limits since their quote, so they decide about no tick after it: a quote asked for
    after the tick does. Ticks of a symbol are judged in their order, so later ones wait too.
    """

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._ticks: dict[str, list[HeldTick]] = {}
        self._asked: dict[str, int] = {}
        self._since_s: dict[str, float] = {}

    def __contains__(self, symbol: str) -> bool:
        """Return whether ticks of a symbol are held."""
        return symbol in self._ticks

    def __bool__(self) -> bool:
        """Return whether any ticks are held."""
        return bool(self._ticks)

    def hold(self, symbol: str, tick: HeldTick) -> None:
        """Hold a tick, after those already held."""
        self._ticks.setdefault(symbol, []).append(tick)

    def unasked(self, now_s: float) -> list[str]:
        """Return the symbols without a question to a broker yet; their wait begins."""
        symbols = sorted(self._ticks.keys() - self._asked.keys())
        for symbol in symbols:
            self._since_s.setdefault(symbol, now_s)
        return symbols

    def ask(self, symbols: Iterable[str]) -> None:
        """Note that a quote was asked for: it decides about the ticks held by now."""
        for symbol in symbols:
            self._asked[symbol] = len(self._ticks[symbol])

    @property
    def asked(self) -> list[str]:
        """Return the symbols with a question on its way."""
        return sorted(self._asked)

    def overdue(self, now_s: float) -> list[str]:
        """Return the symbols to be decided without an answer."""
        return [
            symbol
            for symbol, ticks in self._ticks.items()
            if len(ticks) > MOST_HELD or now_s - self._since_s.get(symbol, inf) >= HOLD_S
        ]

    def take(self, symbol: str) -> tuple[Sequence[HeldTick], Sequence[HeldTick]]:
        """Hold the ticks of a symbol no longer; return those from before the question, and those since."""
        ticks, asked = self._ticks.pop(symbol, []), self._asked.pop(symbol, 0)
        self._since_s.pop(symbol, None)
        return ticks[:asked], ticks[asked:]

    def first_offsets(self) -> Mapping[str, int]:
        """Return the offset of the first held tick of each symbol."""
        return {symbol: offset_of(ticks[0][0]) for symbol, ticks in self._ticks.items()}

    def first_offset_in(self, partition: int) -> float:
        """Return the lowest offset of a partition's held ticks; infinity without one."""
        offsets = [
            offset
            for symbol, offset in self.first_offsets().items()
            if home_partition(symbol, self._partitions) == partition
        ]
        return min(offsets, default=inf)
