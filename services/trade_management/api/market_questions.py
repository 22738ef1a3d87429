"""Markets of symbols for requests: those of one symbol share one question."""

from __future__ import annotations

import asyncio
from functools import partial

from services.trade_management.domain.trade import Market
from services.trade_management.markets import Markets
from shared.http.slots import run_in_slot


class MarketQuestions:
    """Asks for markets in a worker thread. Belongs to one event loop.

    Without it, each request without a recent answer would ask, and hold a slot meanwhile.
    """

    def __init__(self, markets: Markets) -> None:
        self._markets = markets
        self._asked: dict[str, asyncio.Task[Market]] = {}

    async def of(self, symbol: str) -> Market:
        """Return the known facts of a symbol's market.

        Raises
        ------
        Overloaded
            No slot was free in time.
        """
        kept = self._markets.kept(symbol)
        if kept is not None:
            return kept
        asked = self._asked.get(symbol)
        if asked is None:
            asked = asyncio.get_running_loop().create_task(run_in_slot(partial(self._markets.of, symbol)))
            self._asked[symbol] = asked
            asked.add_done_callback(lambda _: self._asked.pop(symbol, None))
        return await asyncio.shield(asked)  # the end of one request does not end the question of the others
