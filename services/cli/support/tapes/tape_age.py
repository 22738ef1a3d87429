"""Comparison of a tick file with a running system: ticks older than its last ones have no effect there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import islice
from typing import Final

from services.cli.support.api_client import ApiClient, Refused, path_of
from services.replay.tape.recorded import BadLine, RecordedTick
from shared.clock import rfc3339
from shared.errors import ExitflowError

_FIRST_TICKS: Final = 2_000
_MOST_SYMBOLS: Final = 20
_NOT_FOUND: Final = 404


def warning(tape: Iterable[RecordedTick], api: ApiClient) -> str | None:
    """Return the warning before a file is sent; None if its symbols have seen nothing later.

    The first ticks of a file are compared, of a few symbols.
    """
    begins = _begins(tape)
    try:
        later = {
            symbol: seen
            for symbol, at in begins.items()
            if (seen := _last_tick_at(api, symbol)) is not None and seen > at
        }
    except ExitflowError as error:
        return f"not known whether the file is older than its symbols' last ticks: {error}"
    if not later:
        return None
    return _words(later, len(begins))


def _begins(tape: Iterable[RecordedTick]) -> dict[str, datetime]:
    begins: dict[str, datetime] = {}
    try:
        for tick in islice(tape, _FIRST_TICKS):
            if len(begins) < _MOST_SYMBOLS:
                begins.setdefault(tick.symbol, tick.tick.ts)
    except BadLine:
        pass  # it is told when the file is sent, at this line
    return begins


def _last_tick_at(api: ApiClient, symbol: str) -> datetime | None:
    try:
        seen = api.get(path_of("/prices/{}", symbol)).get("last_tick_at")
    except Refused as refused:
        if refused.status == _NOT_FOUND:
            return None
        raise
    return None if seen is None else datetime.fromisoformat(seen)


def _words(later: Mapping[str, datetime], compared: int) -> str:
    symbol = min(later)
    return (
        f"{len(later)} of {compared} symbols have seen later ticks, e.g. {symbol} of {rfc3339(later[symbol])}: "
        "the file's ticks before them are stale and have no effect"
    )
