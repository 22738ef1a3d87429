"""Firing of triggers (GTT): a leg reached by the market places its order, in the tick's transaction."""

from __future__ import annotations

from dataclasses import replace

from services.paper_broker.fault_effects import OrderEffect
from services.paper_broker.faults import Reject, placement_under
from services.paper_broker.funds import wanted_of
from services.paper_broker.gtts import Gtt
from services.paper_broker.ledger import Books
from services.paper_broker.quotes import Quote
from services.paper_broker.trading import accept, missing_funds


def fire_gtts(books: Books, quote: Quote, cash: int, now: int) -> None:
    """Fire the symbol's triggers reached by the market; each places the order of one leg."""
    for gtt in books.gtts.active(quote.symbol):
        index = gtt.reached_leg(quote.last_units, now)
        if index is not None:
            result = _place(books, gtt, index, quote, cash, now)
            books.gtts.save(gtt.fired(index, quote.last_units, now, result))


def _place(books: Books, gtt: Gtt, index: int, quote: Quote, cash: int, now: int) -> int | str:
    """Return the number of the leg's order, or why a fault rule refused it."""
    leg = gtt.legs[index]
    placement = placement_under(books.faults.take(gtt.account, gtt.symbol, OrderEffect), leg.quantity, now)
    if placement.refusal is not None:
        return placement.refusal.message
    request = leg.order_of(gtt.symbol)
    short = missing_funds(books, gtt.account, wanted_of(request, quote.last_units, leg.quantity), cash, now)
    if short is not None:
        placement = replace(placement, rejection=Reject(kind="reject", message=short))
    return accept(books, gtt.account, request, placement, quote.last_units, now)
