"""Acceptance and execution of orders within a transaction of the ledger."""

from __future__ import annotations

from dataclasses import replace

from services.paper_broker.book_time import MINUTE_MS, book_day, book_opened_ms
from services.paper_broker.faults import Placement
from services.paper_broker.funds import Funds, Wanted, funds_of, opening, shortage
from services.paper_broker.ledger import Books
from services.paper_broker.matching import execute, filled, is_triggered, next_stage_ms, postponed, triggered
from services.paper_broker.orders import Execution, FillPlan, Order, OrderRequest, cancelled, placed, rejected
from services.paper_broker.positions import turnover_of
from services.paper_broker.quotes import Quote
from services.paper_broker.surprises import Surprises, late_execution


def accept(
    books: Books, account: str, request: OrderRequest, placement: Placement, last_units: int | None, now: int
) -> int:
    """Store a new order, fill as much as the market and its faults allow at once, and return its number."""
    order = placed(request, account, books.orders.next_number(now), now)
    if placement.rejection is not None:
        books.orders.insert(rejected(order, placement.rejection.message), (), None)
        return order.number
    books.orders.insert(order, placement.fill_plan, next_stage_ms(placement.fill_plan, now))
    surprises = _with_lifetime(placement, request, now)
    if surprises is not None:
        books.surprises.save(order.number, surprises)
    trade(books, order, placement.fill_plan, last_units, now)
    if request.validity == "IOC" and not placement.fill_plan:
        _cancel_rest(books, order.number, now)
    return order.number


def missing_funds(books: Books, account: str, wanted: Wanted, cash: int, now: int) -> str | None:
    """Return why an account with so much cash cannot pay for more of a position; None if it can.

    What closes a position needs no funds, however little the account has.
    """
    at_work = books.orders.unfilled_at_work(account, wanted.symbol, wanted.product, wanted.side, book_opened_ms(now))
    net = books.positions.net_of(account, wanted.symbol, wanted.product)
    required = opening(wanted, net, at_work).margin
    if required == 0:
        return None
    available = funds_in(books, account, cash, now).available
    return shortage(required, available) if required > available else None


def funds_in(books: Books, account: str, cash: int, now: int) -> Funds:
    """Return the funds of an account with so much cash at the beginning."""
    working = books.orders.working_of(account, book_opened_ms(now))
    last = {symbol: books.market.last_units(symbol) or 0 for symbol in {order.symbol for order in working}}
    return funds_of(cash, books.positions.of_account(account, book_day(now)), working, last)


def trade(books: Books, order: Order, plan: FillPlan, last_units: int | None, now: int) -> None:
    """Trigger the order if the market reaches its trigger, then fill as much as the market and its plan allow."""
    if is_triggered(order, last_units):
        order, plan = _trigger(books, order, plan, now)
    execution = execute(order, plan, last_units, now)
    if execution is None:
        return
    _book(books, filled(order, execution), execution)


def cancel(books: Books, order: Order, now: int) -> None:
    """Cancel a working order; its fills remain, and a fill after the cancel may be planned."""
    books.orders.update(cancelled(order, now))
    surprises = books.surprises.of(order.number)
    if surprises is not None:
        books.surprises.save(order.number, surprises.after_cancel(now))


def _with_lifetime(placement: Placement, request: OrderRequest, now: int) -> Surprises | None:
    """Return the order's surprises with the cancel at its end, if that comes first: of TTL, and of a delayed IOC."""
    if request.ttl_minutes is not None:
        ends_ms = now + request.ttl_minutes * MINUTE_MS
    elif request.validity == "IOC" and placement.fill_plan:
        ends_ms = placement.fill_plan[0].from_ms
    else:
        return placement.surprises
    known = placement.surprises or Surprises()
    return replace(known, cancel_ms=min(ends_ms, known.cancel_ms or ends_ms))


def _cancel_rest(books: Books, number: int, now: int) -> None:
    """Cancel an order as far as it did not fill at once."""
    order = books.orders.numbered(number)
    if order.is_working:
        cancel(books, order, now)


def surprise(books: Books, number: int, now: int) -> None:
    """Do to an order what is due by now: its cancel, or its fill after one. To one of an earlier day, do nothing."""
    order, surprises = books.orders.numbered(number), books.surprises.of(number)
    assert surprises is not None, "only orders with surprises are due"
    if order.placed_ms < book_opened_ms(now):
        books.surprises.save(number, Surprises())
        return
    if surprises.cancel_ms is not None and surprises.cancel_ms <= now:
        if order.is_working:
            cancel(books, order, now)
        else:
            books.surprises.save(number, replace(surprises, cancel_ms=None))
        return
    books.surprises.save(number, surprises.without_late_fill())
    execution = late_execution(order, surprises, books.market.last_units(order.symbol), now)
    if execution is not None:
        _book(books, filled(order, execution), execution)


def fill_crossed(books: Books, quote: Quote, now: int) -> None:
    """Trigger and fill the symbol's working orders reached by the market."""
    for order, plan in books.orders.at_work(quote.symbol, book_opened_ms(now)):
        trade(books, order, plan, quote.last_units, now)


def _book(books: Books, order: Order, execution: Execution) -> None:
    """Store the order after one of its executions, the fill, and the position that they make."""
    books.orders.update(order)
    books.orders.add_fill(order.number, execution)
    traded = turnover_of(order.sign * execution.quantity, execution.price_units)
    books.positions.add(order.account, order.symbol, order.product, book_day(execution.at_ms), traded)


def _trigger(books: Books, order: Order, plan: FillPlan, now: int) -> tuple[Order, FillPlan]:
    """Store the order as triggered; delays of its fills count from now."""
    order = triggered(order, now)
    books.orders.update(order)
    if plan:
        plan = postponed(plan, now - order.placed_ms)
        books.orders.set_plan(order.number, plan, next_stage_ms(plan, now))
    return order, plan
