"""One run of the demo against a running system: open, play, wait until all is closed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import chain, repeat

from services.cli.support.api_client import ApiClient, Json
from services.cli.support.tick_sender import TickSender
from services.demo.market import Prices, walk
from services.demo.scenario import Scenario, TradePlan
from shared.clock import Clock
from shared.contracts.ticks import Tick
from shared.errors import Unavailable
from shared.money import money_text
from shared.wording import plural

OPENERS = 4
USER_BROKER = "paper"
LOOK_S = 0.5
"""How often the trades are asked for."""

Report = Callable[[int], None]


class DemoSession:
    """Plays a scenario.

    Parameters
    ----------
    step_s:
        Time between two steps of the market.
    """

    def __init__(self, scenario: Scenario, api: ApiClient, sender: TickSender, clock: Clock, step_s: float) -> None:
        self._scenario = scenario
        self._api = api
        self._sender = sender
        self._clock = clock
        self._step_s = step_s
        self._opened: set[str] = set()
        self._sequence = 0

    @property
    def opened(self) -> frozenset[str]:
        """Return the ids of the opened trades."""
        return frozenset(self._opened)

    def open_trades(self, report: Report) -> None:
        """Open every trade of the scenario; `report` receives the number of open trades."""
        with ThreadPoolExecutor(OPENERS) as openers:
            for trade in openers.map(self._open, self._scenario.trades):
                self._opened.add(trade["trade_id"])
                report(len(self._opened))

    def play(self, steps: int, limit_s: float, on_ticks: Report, on_closed: Report) -> None:
        """Play the market until every trade is closed; the last prices are repeated for as long as it takes.

        Raises
        ------
        Unavailable
            Some trades were still open `limit_s` seconds after the market had come to its end.
        """
        deadline, looked, closed = None, self._clock.monotonic(), 0
        for prices, at_end in _without_end(walk(self._scenario, steps)):
            self._send(prices)
            on_ticks(self._sender.sent)
            if self._clock.monotonic() - looked >= LOOK_S:
                looked = self._clock.monotonic()
                closed = len(self._opened) - self._still_open()
                on_closed(closed)
            if closed == len(self._opened):
                return
            deadline = deadline or (self._clock.monotonic() + limit_s if at_end else None)
            if deadline is not None and self._clock.monotonic() > deadline:
                raise Unavailable(
                    f"{plural(len(self._opened) - closed, 'trade')} still open {limit_s:.0f} s after the end"
                )
            time.sleep(self._step_s)

    def closed_trades(self) -> list[Json]:
        """Return this session's closed trades, as in the API."""
        return [trade for trade in self._all("CLOSED") if trade["trade_id"] in self._opened]

    def _open(self, plan: TradePlan) -> Json:
        return self._api.post("/trades", _order_form(plan))

    def _still_open(self) -> int:
        return sum(trade["trade_id"] in self._opened for trade in self._all("OPEN"))

    def _all(self, status: str) -> list[Json]:
        return list(self._api.items("/trades", status=status))

    def _send(self, prices: Prices) -> None:
        self._sequence += 1
        now = self._clock.now()
        for symbol, price in prices.items():
            self._sender.send(Tick(symbol=symbol, ltp=price, ts=now, seq=self._sequence))


def _without_end(steps: Iterator[Prices]) -> Iterator[tuple[Prices, bool]]:
    """Yield every step, then repeat the last one for ever, marked."""
    last: Prices = {}
    for last in steps:
        yield last, False
    yield from chain.from_iterable(repeat([(last, True)]))


def _order_form(plan: TradePlan) -> Json:
    return {
        "symbol": plan.symbol,
        "direction": plan.direction.value,
        "product_type": plan.product.value,
        "quantity": plan.quantity,
        "entry_price": money_text(plan.entry),
        "user_broker_id": USER_BROKER,
        "exit_plan": {"target": money_text(plan.target), "stop_loss": money_text(plan.stop_loss)},
        "allow_immediate": True,  # an earlier market on the same stack may have left other last prices
    }


def total_of(trades: list[Json], what: str) -> Decimal:
    """Sum up an amount over trades."""
    return sum((Decimal(trade[what]) for trade in trades), Decimal(0))
