"""From the tick to the closed trade: exits at a steady rate, and many exits of one tick."""

from __future__ import annotations

import statistics
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from bench.orders.broker_calls import timed_broker_calls
from bench.orders.closed_trades import ClosedTrades
from bench.orders.hops import hops_ms
from bench.orders.load import open_trades, trade
from bench.orders.system import System
from bench.orders.usage import Usage, measured
from bench.percentiles import percentile
from services.cli.support.tick_sender import TickSender
from shared.clock import SystemClock
from shared.contracts.ticks import Tick
from shared.settings import Settings

OPENERS = 8
LIMIT_S = 240
NOT_TRADED = "NSE:BENCHIDLE"
SETTLE_S = 2.0
"""Time for exit-ticks and the broker to take in the new trades."""


@dataclass(frozen=True)
class Exits:
    """Latencies in milliseconds from the tick to the readable TradeClosed, and the CPU time meanwhile.

    Attributes
    ----------
    hops_ms:
        The median of each hop, by its end; not of a burst.
    broker_ms:
        The mean of each kind of call to the broker; not of a burst.
    """

    count: int
    p50_ms: float
    p99_ms: float
    last_ms: float
    usage: Usage
    hops_ms: Mapping[str, float] = field(default_factory=dict)
    broker_ms: Mapping[str, float] = field(default_factory=dict)


class ExitRuns:
    """Runs on one system; symbols are never used twice."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._clock = SystemClock()
        self._runs = 0
        self._sequence = 0

    def steady(self, per_s: float, count: int) -> Exits:
        """Let one trade after the other exit, so many a second, each by a tick of its own symbol."""
        symbols = self._symbols(count)
        accounts = self._system.accounts
        wanted = [(symbol, accounts[n % len(accounts)]) for n, symbol in enumerate(symbols)]
        by_symbol = dict(zip(symbols, self._open(wanted), strict=True))
        sent: dict[str, float] = {}
        sender = self._sender()
        with (
            ClosedTrades(self._system.bootstrap_servers) as closed,
            timed_broker_calls(self._system.exit_orders) as calls,
            measured(self._system) as usage,
        ):
            began = self._clock.monotonic()
            for nth, symbol in enumerate(symbols):
                self._pause_until(began + nth / per_s)
                sent[by_symbol[symbol]] = self._clock.monotonic()
                self._tick(sender, symbol)
            sender.flush()
            seen = closed.wait_for(list(sent), LIMIT_S)
        hops = hops_ms(self._system.admin_url, sent, seen)
        return replace(_exits(sent, seen, usage), hops_ms=hops, broker_ms=calls.mean_ms)

    def burst(self, count: int) -> Exits:
        """Let one tick meet the target of every trade, spread over all accounts."""
        (symbol,) = self._symbols(1)
        accounts = self._system.accounts
        trade_ids = self._open([(symbol, accounts[n % len(accounts)]) for n in range(count)])
        sender = self._sender()
        with ClosedTrades(self._system.bootstrap_servers) as closed, measured(self._system) as usage:
            at = self._clock.monotonic()
            self._tick(sender, symbol)
            sender.flush()
            seen = closed.wait_for(trade_ids, LIMIT_S)
        return _exits(dict.fromkeys(trade_ids, at), seen, usage)

    def _open(self, wanted: list[tuple[str, str]]) -> list[str]:
        """Open the trades in order and wait until the other processes know them."""
        bodies = [trade(symbol, account) for symbol, account in wanted]
        connections = min(OPENERS, len(bodies))
        shares = [list(range(len(bodies)))[n::connections] for n in range(connections)]
        ids, _ = open_trades(self._system.trade_api, self._system.token, bodies, connections)
        order = [index for share in shares for index in share]
        threading.Event().wait(SETTLE_S)
        return [trade_id for _, trade_id in sorted(zip(order, ids, strict=True))]

    def _symbols(self, count: int) -> list[str]:
        self._runs += 1
        return [f"NSE:BENCH{self._runs}X{n}" for n in range(count)]

    def _sender(self) -> TickSender:
        """Return a sender after its first sends: a market's feed is connected long before a price meets a target.

        A new idempotent producer asks for its identity at most every 500 ms, and its first ticks would wait for it.
        """
        sender = TickSender(Settings(kafka_bootstrap_servers=self._system.bootstrap_servers))
        self._tick(sender, NOT_TRADED)
        sender.flush()
        return sender

    def _tick(self, sender: TickSender, symbol: str) -> None:
        self._sequence += 1
        sender.send(Tick(symbol=symbol, ltp=Decimal("1010.50"), ts=self._clock.now(), seq=self._sequence))

    def _pause_until(self, at: float) -> None:
        left = at - self._clock.monotonic()
        if left > 0:
            threading.Event().wait(left)


def _exits(sent: dict[str, float], seen: dict[str, float], usage: Usage) -> Exits:
    waits = sorted(1000 * (seen[trade_id] - at) for trade_id, at in sent.items())
    return Exits(len(waits), statistics.median(waits), percentile(waits, 0.99), waits[-1], usage)
