"""Player: a tape through a book of trades, with exits, fills and P&L."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from heapq import heappop, heappush
from itertools import count
from typing import Final
from uuid import UUID

from services.exit_qualification.domain.candidates import ExitCandidate, ExitCandidates, in_steps
from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.domain.square_off import NEVER, SquareOff
from services.paper_broker.orders import Execution
from services.replay.book import BookedTrade
from services.replay.changes import Adjustment
from services.replay.fills import ExitOrder, exit_order, market_price
from services.replay.held_exits import HeldExits
from services.replay.judging import SymbolRun
from services.replay.tape.recorded import RecordedTick
from services.trade_management.domain.charges import ChargeSchedule
from services.trade_management.domain.closure import TradeHistory, book
from services.trade_management.domain.fills import Fill
from services.trade_management.domain.shipped_charges import SHIPPED, also_before
from services.trade_management.domain.trade import Trade
from shared.clock import trading_day
from shared.contracts.vocabulary import ExitReason
from shared.errors import InvalidInput
from shared.exit_rules.registry import rule_of
from shared.instants import EPOCH
from shared.money import from_units

ESTIMATED: Final = also_before(SHIPPED)
"""The shipped charges; days before them are charged as their first."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Conditions of a replay.

    Attributes
    ----------
    square_off:
        With the calendars: an exit waits while they show its exchange closed.
    latency_ms:
        From the tick of the exit to the order at the broker.
    """

    square_off: SquareOff = NEVER
    schedule: ChargeSchedule = ESTIMATED
    latency_ms: int = 0


@dataclass(frozen=True, slots=True)
class ReplayedExit:
    """Exit of a trade, or of a leg of it. Money in rupees; `detected_price` and `level` None without one."""

    trade: Trade
    exit_reason: ExitReason
    leg: int | None
    detected_at: datetime
    detected_price: Decimal | None
    level: Decimal | None
    filled_at: datetime
    quantity: int
    fill_price: Decimal
    gross_pnl: Decimal
    charges: Decimal | None

    @property
    def net_pnl(self) -> Decimal:
        """Return `gross_pnl` less the charges, as far as they are known."""
        return self.gross_pnl - (self.charges or Decimal(0))


@dataclass(frozen=True, slots=True)
class OpenPosition:
    """Trade without an exit, at the last price of its symbol; in rupees, None without a tick."""

    trade: Trade
    last_price: Decimal | None

    @property
    def unrealised_pnl(self) -> Decimal | None:
        """Return the gross P&L of an exit at the last price."""
        if self.last_price is None:
            return None
        trade = self.trade
        return trade.direction.sign * (self.last_price - trade.entry_price) * trade.open_quantity


@dataclass(frozen=True, slots=True)
class Played:
    """Result of a replay.

    Attributes
    ----------
    exits:
        In order of their fills.
    ticks:
        Number of ticks of symbols of the book, with the stale ones.
    others:
        Number of ticks of other symbols.
    """

    exits: tuple[ReplayedExit, ...]
    open: tuple[OpenPosition, ...]
    ticks: int
    stale: int
    others: int


class Player:
    """Plays ticks, in order for each symbol; different symbols may come one after the other.

    Raises
    ------
    InvalidInput
        A corporate action changed a trade.
    """

    def __init__(self, trades: Iterable[BookedTrade], terms: Terms | None = None) -> None:
        self._terms = terms or Terms()
        self._book: dict[str, list[BookedTrade]] = defaultdict(list)
        for each in trades:
            _refuse_adjusted(each)
            self._book[each.trade.symbol].append(each)
        self._markets: dict[str, _Market] = {}
        self._others = 0
        self._ticks = 0
        self._last_ms = 0

    def play(self, tick: RecordedTick) -> None:
        """Play the next tick."""
        self._last_ms = max(self._last_ms, tick.at_ms)
        market = self._markets.get(tick.symbol) or self._open(tick)
        if market is None:
            self._others += 1
            return
        self._ticks += 1
        market.play(tick)

    def end(self) -> Played:
        """Play everything due by the time of the last tick of any symbol, and return the result."""
        for market in self._markets.values():
            market.end(self._last_ms)
        exits = [each for market in self._markets.values() for each in market.exits]
        exits.sort(key=lambda each: (each.filled_at, each.trade.trade_id))  # of one trade, in the order of the exits
        still_open = [each for market in self._markets.values() for each in market.open_positions()]
        unseen = [each.trade for symbol, book in self._book.items() if symbol not in self._markets for each in book]
        return Played(
            exits=tuple(exits),
            open=(*still_open, *(OpenPosition(trade, None) for trade in unseen)),
            ticks=self._ticks,
            stale=sum(market.stale for market in self._markets.values()),
            others=self._others,
        )

    def _open(self, first: RecordedTick) -> _Market | None:
        if first.symbol not in self._book:
            return None
        trades = [each.entered_by(first.at_ms) for each in self._book[first.symbol]]
        market = self._markets[first.symbol] = _Market(first.symbol, trades, self._terms)
        return market


def play(trades: Iterable[BookedTrade], ticks: Iterable[RecordedTick], terms: Terms | None = None) -> Played:
    """Play all ticks and return the result."""
    player = Player(trades, terms)
    for tick in ticks:
        player.play(tick)
    return player.end()


def _refuse_adjusted(booked: BookedTrade) -> None:
    if any(isinstance(change, Adjustment) for change in booked.changes):
        raise InvalidInput(
            f"a corporate action changed trade {booked.trade.trade_id}, and only --verify follows it: leave the trade "
            "out of the book, as it has one entry price for all ticks here"
        )


class _Market:
    """One symbol: its trades, its last price and the exit orders at the broker.

    Attributes
    ----------
    stale:
        Number of ticks older than one before them; they have no effect.
    """

    def __init__(self, symbol: str, trades: Sequence[BookedTrade], terms: Terms) -> None:
        self.stale = 0
        self._held = HeldExits(symbol, terms.square_off.calendars)
        self._run = SymbolRun(trades, terms.square_off)
        self.exits: list[ReplayedExit] = []
        self._terms = terms
        self._histories = {each.trade.trade_id: TradeHistory(each.trade) for each in trades}
        self._orders: list[tuple[int, int, ExitOrder]] = []
        self._numbers = count(1)
        self._last_price: int | None = None
        self._first_ms = 0

    def play(self, tick: RecordedTick) -> None:
        self._advance(tick.at_ms)
        before = self._last_price
        verdict = self._run.judge(tick)
        if not verdict.accepted:
            self.stale += 1
            return
        self._last_price = tick.price
        self._first_ms = self._first_ms or tick.at_ms
        for each in verdict.candidates:
            self._exit(each, tick, before)
        if self._held and not self._held.must_wait(tick.at_ms):
            self._release(tick.at_ms)
        self._execute(tick.at_ms)

    def end(self, now_ms: int) -> None:
        self._advance(now_ms + 1)
        self._execute(now_ms)

    def open_positions(self) -> Iterator[OpenPosition]:
        last = None if self._last_price is None else from_units(self._last_price)
        for history in self._histories.values():
            if history.trade.open_quantity:
                yield OpenPosition(history.trade, last)

    def _advance(self, now_ms: int) -> None:
        """Do everything due before the ticks of a time, at the last price."""
        for each in self._run.advance(now_ms):
            self._exit(each, None, None)
        self._execute(now_ms - 1)

    def _exit(self, found: ExitCandidates, tick: RecordedTick | None, before: int | None) -> None:
        """Send the orders of the highest-ranked reason; the broker has them after the latency."""
        for candidate in in_steps(found.candidates)[0]:
            at_ms = candidate.detected_at_us // 1000
            if self._held.must_wait(at_ms):
                self._held.hold(found.trade, candidate)
            else:
                self._send(found.trade, candidate, market_price(candidate, tick, before), at_ms)

    def _release(self, now_ms: int) -> None:
        """Send the exits waiting for the session, at its price; an expired exit is judged again."""
        for trade, candidate in self._held.take():
            if not rule_of(candidate.exit_reason).expires:
                self._send(trade, candidate, self._last_price, now_ms)
                continue
            for found in self._run.judge_again(candidate.rule_key):
                self._exit(found, None, None)

    def _left(self, trade: OpenTrade, candidate: ExitCandidate) -> int:
        """Return the quantity of the exit: the open one without the orders at the broker, or the leg's part of it."""
        sent = sum(each.order.quantity for *_, each in self._orders if each.candidate.trade_id == trade.trade_id)
        left = self._histories[trade.trade_id].trade.open_quantity - sent
        return left if candidate.leg is None else min(left, trade.leg_quantities[candidate.exit_reason, candidate.leg])

    def _send(self, trade: OpenTrade, candidate: ExitCandidate, price: int | None, now_ms: int) -> None:
        """Send the order of an exit, if something is left to exit."""
        quantity = self._left(trade, candidate)
        if quantity <= 0:
            return
        if candidate.leg is None:
            self._run.end(trade.trade_id)
        placed_ms = now_ms + self._terms.latency_ms
        sent = exit_order(trade, candidate, quantity, next(self._numbers), placed_ms)
        at_once = None if self._terms.latency_ms else sent.execution(price, now_ms)
        if at_once is None:
            heappush(self._orders, (placed_ms, sent.order.number, sent))
        else:
            self._book(sent, at_once)

    def _execute(self, now_ms: int) -> None:
        """Execute the orders at the broker by then, at the last price."""
        waiting = []
        while self._orders and self._orders[0][0] <= now_ms:
            placed_ms, number, sent = heappop(self._orders)
            execution = sent.execution(self._last_price, max(placed_ms, self._first_ms))
            if execution is None:
                waiting.append((placed_ms, number, sent))
            else:
                self._book(sent, execution)
        for each in waiting:
            heappush(self._orders, each)

    def _book(self, sent: ExitOrder, execution: Execution) -> None:
        candidate = sent.candidate
        history = self._histories[candidate.trade_id]
        booking = book(history, [_fill(sent, execution)], self._terms.schedule)
        self._histories[candidate.trade_id] = booking.after
        closure = booking.closure
        assert closure is not None, "an order is never larger than the open quantity"
        self.exits.append(
            ReplayedExit(
                trade=history.trade,
                exit_reason=candidate.exit_reason,
                leg=candidate.leg,
                detected_at=EPOCH + timedelta(microseconds=candidate.detected_at_us),
                detected_price=None if candidate.detected_price is None else from_units(candidate.detected_price),
                level=None if candidate.level is None else from_units(candidate.level),
                filled_at=closure.closed_at,
                quantity=closure.quantity,
                fill_price=closure.exit_price,
                gross_pnl=closure.gross_pnl,
                charges=closure.charges,
            )
        )
        if closure.final:
            self._run.end(candidate.trade_id)
        elif candidate.leg is not None:
            for found in self._run.leg_filled(candidate.trade_id, candidate.leg):
                self._exit(found, None, None)


def _fill(sent: ExitOrder, execution: Execution) -> Fill:
    number = str(sent.order.number)
    filled_at = EPOCH + timedelta(milliseconds=execution.at_ms)
    return Fill(
        intent_id=UUID(int=sent.order.number),
        broker_order_id=number,
        broker_trade_id=number,
        exit_reason=sent.candidate.exit_reason,
        quantity=execution.quantity,
        price=from_units(execution.price_units),
        filled_at=filled_at,
        trading_day=trading_day(filled_at),
    )
