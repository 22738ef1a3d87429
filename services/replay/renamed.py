"""Symbols of renamed trades: their ticks are judged together, in the order of time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter

from services.replay.book import BookedTrade
from services.replay.tape.recorded import RecordedTick


def linked_symbols(trades: Iterable[BookedTrade]) -> dict[str, str]:
    """Return a common name for the symbols of each trade; without a new name of a trade, each symbol has its own."""
    common: dict[str, str] = {}

    def name_of(symbol: str) -> str:
        while (name := common.setdefault(symbol, symbol)) != symbol:
            symbol = name
        return symbol

    for each in trades:
        first, *others = each.symbols
        for symbol in others:
            common[name_of(symbol)] = name_of(first)
        name_of(first)
    return {symbol: name_of(symbol) for symbol in list(common)}


class HeldTicks:
    """Ticks of linked symbols, kept until the end of the tape: it may have one symbol after the other."""

    def __init__(self) -> None:
        self._ticks: list[tuple[int, RecordedTick]] = []
        self._last_ms: dict[str, int] = {}

    def add(self, tick: RecordedTick) -> None:
        """Keep the next tick of its symbol; ticks of a symbol stay in their order."""
        at_ms = self._last_ms[tick.symbol] = max(tick.at_ms, self._last_ms.get(tick.symbol, tick.at_ms))
        self._ticks.append((at_ms, tick))

    def in_turn(self) -> Sequence[RecordedTick]:
        """Return all of them in the order of time."""
        return [tick for _, tick in sorted(self._ticks, key=itemgetter(0))]
