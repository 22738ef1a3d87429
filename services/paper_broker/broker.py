"""Paper broker: accepts orders and produces fills and positions. Every public method is one transaction."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from services.paper_broker.book_time import book_day, book_opened_ms, to_ms
from services.paper_broker.conversions import Conversion, converted
from services.paper_broker.fault_effects import OrderEffect
from services.paper_broker.faults import Reject, placement_under
from services.paper_broker.funds import wanted_of
from services.paper_broker.gtt_firing import fire_gtts
from services.paper_broker.kite_errors import no_funds, no_such_order, not_working
from services.paper_broker.latency import NO_LATENCY, Latency
from services.paper_broker.ledger import Books, Ledger
from services.paper_broker.market_store import TopicPartitionKey
from services.paper_broker.matching import next_stage_ms
from services.paper_broker.order_forms import ModifyForm, modified, refuse_met_trigger
from services.paper_broker.order_rates import OrderLimits, OrderRates
from services.paper_broker.order_updates import OrderUpdate, updates_of
from services.paper_broker.orders import MAX_VALUE_UNITS, Order, OrderRequest
from services.paper_broker.positions import Entry
from services.paper_broker.quotes import PriceTick, Quote, advance
from services.paper_broker.trading import accept, cancel, fill_crossed, missing_funds, surprise, trade
from shared.clock import Clock
from shared.tick_clock import NEW_CLOCK_AFTER_MS, TAKEN, TickClock

RESUME_BATCH = 500
"""Maximum number of delayed orders resumed in one transaction."""

DAY_MS = 86_400_000

LAST_MS = 2**62
"""Later than any time."""

Announce = Callable[[Iterable[OrderUpdate]], None]
"""Takes the order updates of a committed transaction; returns at once and never fails."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """Accepted order; after `drop_after_ms`, if set, the connection is cut instead of answered."""

    order_number: int
    drop_after_ms: int | None


class PaperBroker:
    """Places, changes, cancels and fills orders. Thread-safe.

    Without `announce`, it tells no order updates; without `limits`, it takes any number of orders. `cash` of
    each account is in units.
    """

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        new_clock_after_ms: int = NEW_CLOCK_AFTER_MS,
        announce: Announce | None = None,
        limits: OrderLimits | None = None,
        latency: Latency = NO_LATENCY,
        cash: int = MAX_VALUE_UNITS,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._new_clock_after_ms = new_clock_after_ms
        self._announce = announce
        self._rates = OrderRates(limits) if limits else None
        self._latency = latency
        self._cash = cash
        self._tick_clocks: dict[str, TickClock] = {}
        self._delayed = threading.Event()
        self._delayed.set()  # the ledger may have some of an earlier run

    def place(self, account: str, request: OrderRequest) -> Accepted:
        """Accept an order, apply matching fault rules, and fill it immediately if possible.

        Raises
        ------
        KiteError
            A fault rule refused the order, the account has placed too many, or the market has reached its trigger
            already. A rule's count is reduced and the book does not show the order. MarginException if the account
            cannot pay: the book shows the order as rejected.
        """
        now = self._now_ms()
        with self._changing() as books:
            if self._rates is not None:
                self._rates.take(account, now, partial(books.orders.count_since, account))
            last_units = books.market.last_units(request.symbol)
            refuse_met_trigger(request.side, request.trigger_units, last_units)
            effects = books.faults.take(account, request.symbol, OrderEffect)
            placement = placement_under(effects, request.quantity, now, self._latency.of(books.orders.next_number(now)))
            wanted = wanted_of(request, last_units, request.quantity)
            short = None if placement.is_refused else missing_funds(books, account, wanted, self._cash, now)
            if short is not None:
                placement = replace(placement, rejection=Reject(kind="reject", message=short))
            if placement.refusal is None:
                number = accept(books, account, request, placement, last_units, now)
        if placement.refusal is not None:
            raise placement.refusal.error()
        if short is not None:
            raise no_funds(short)
        return Accepted(number, placement.drop_after_ms)

    def convert(self, account: str, wanted: Conversion) -> None:
        """Move an open quantity to another product, at its average price.

        Raises
        ------
        KiteError
            The account does not hold so much of it.
        """
        now = self._now_ms()
        today = book_day(now)
        with self._changing() as books:
            held = books.positions.of_account(account, today)
            moved = converted(held, wanted)
            day = today if wanted.is_of_today else book_day(now - DAY_MS)
            books.positions.add(account, wanted.symbol, wanted.old_product, day, moved.negated())
            books.positions.add(account, wanted.symbol, wanted.new_product, day, moved)

    def modify(self, account: str, number: int, form: ModifyForm) -> None:
        """Change an open order's terms.

        Raises
        ------
        KiteError
            The order does not exist or is not open, the new terms are invalid, or the account cannot pay for more.
        """
        now = self._now_ms()
        with self._changing() as books:
            order = _working_order(books, account, number, "modified", now)
            changed = modified(order, form, now)
            last_units = books.market.last_units(changed.symbol)
            if changed.status == "TRIGGER PENDING":
                refuse_met_trigger(changed.side, changed.trigger_units, last_units)
            more = wanted_of(changed, last_units, max(0, changed.quantity - order.quantity))
            short = missing_funds(books, account, more, self._cash, now)
            if short is not None:
                raise no_funds(short)
            books.orders.update(changed)
            trade(books, changed, books.orders.plan_of(number), last_units, now)

    def cancel(self, account: str, number: int) -> None:
        """Cancel an open order; its fills remain.

        Raises
        ------
        KiteError
            The order does not exist or is not open.
        """
        now = self._now_ms()
        with self._changing() as books:
            cancel(books, _working_order(books, account, number, "cancelled", now), now)

    def take_market(
        self,
        ticks: Sequence[PriceTick],
        entries: Sequence[Entry] = (),
        offsets: Mapping[TopicPartitionKey, int] | None = None,
    ) -> None:
        """Book entries, update prices, fill crossed orders and save the feed's offsets in one transaction."""
        now = self._now_ms()
        try:
            with self._changing() as books:
                for entry in entries:
                    books.positions.add_entry(entry, book_day(entry.at_ms))
                self._move_prices(books, ticks, now)
                books.market.save_offsets(offsets or {})
        except BaseException:
            self._tick_clocks.clear()  # they are ahead of the ledger
            raise

    def await_delayed(self, limit_s: float) -> bool:
        """Wait until something may be due later to an order; return False if nothing is after the limit."""
        return self._delayed.wait(limit_s)

    def fill_due(self) -> int:
        """Resume orders whose fill plan allows more by now, do what else is due; return to how many orders."""
        self._delayed.clear()  # before the look, so that an order placed meanwhile sets it again
        try:
            return self._fill_due(self._now_ms())
        except BaseException:
            self._delayed.set()
            raise

    @contextmanager
    def _changing(self) -> Iterator[Books]:
        """Open a write transaction; announce the updates of its orders once it has committed."""
        updates: list[OrderUpdate] = []
        with self._ledger.write() as books:
            yield books
            if self._announce is not None:
                updates.extend(updates_of(books))
        if books.orders.delays or books.surprises.delays:
            self._delayed.set()
        if self._announce is not None:
            self._announce(updates)

    def _fill_due(self, now: int) -> int:
        with self._ledger.read() as books:
            if not _anything_due(books, LAST_MS, now):
                return 0
            self._delayed.set()
            if not _anything_due(books, now, now):
                return 0
        with self._changing() as books:
            resumed = books.orders.to_resume(now, book_opened_ms(now), RESUME_BATCH)
            for order, plan in resumed:
                books.orders.set_resume(order.number, next_stage_ms(plan, now))
                trade(books, order, plan, books.market.last_units(order.symbol), now)
            surprised = books.surprises.due(now, RESUME_BATCH)  # after the fills of the same moment
            for number in surprised:
                surprise(books, number, now)
        return len(surprised) + len(resumed)

    def _move_prices(self, books: Books, ticks: Sequence[PriceTick], now: int) -> None:
        working = books.orders.symbols_at_work(book_opened_ms(now)) | books.gtts.active_symbols()
        moved: dict[str, Quote] = {}
        for tick in ticks:
            known = moved.get(tick.symbol) or books.market.quote(tick.symbol)
            clock = self._tick_clock(tick.symbol, known, now)
            if clock.take(tick.at_us, tick.seq, tick.arrived_ms) not in TAKEN:
                continue
            quote = moved[tick.symbol] = advance(known, replace(tick, at_us=clock.last_ts_us))
            if tick.symbol in working:
                fill_crossed(books, quote, now)
                fire_gtts(books, quote, self._cash, now)
        books.market.save_quotes(moved.values())

    def _tick_clock(self, symbol: str, known: Quote | None, now: int) -> TickClock:
        """Return the sort key of a symbol's ticks; treat a stored quote with a future timestamp as current."""
        clock = self._tick_clocks.get(symbol)
        if clock is None:
            clock = self._tick_clocks[symbol] = TickClock(self._new_clock_after_ms)
            if known is not None:
                clock.start_at(min(known.at_us, now * 1000), known.seq, 0)
        return clock

    def _now_ms(self) -> int:
        return to_ms(self._clock.now())


def _anything_due(books: Books, by_ms: int, now: int) -> bool:
    return bool(books.orders.to_resume(by_ms, book_opened_ms(now), 1) or books.surprises.due(by_ms, 1))


def _working_order(books: Books, account: str, number: int, verb: str, now: int) -> Order:
    order = books.orders.find(account, number, book_opened_ms(now))
    if order is None:
        raise no_such_order()
    if not order.is_working:
        raise not_working(verb, order.status)
    return order
