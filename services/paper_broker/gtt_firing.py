"""Firing of triggers (GTT): a leg reached by the market places its order, in the tick's transaction."""

from __future__ import annotations

from services.paper_broker.fault_effects import OrderEffect
from services.paper_broker.faults import placement_under
from services.paper_broker.gtts import Gtt
from services.paper_broker.ledger import Books
from services.paper_broker.quotes import Quote
from services.paper_broker.trading import accept


def fire_gtts(books: Books, quote: Quote, now: int) -> None:
    """Fire the symbol's triggers reached by the market; each places the order of one leg."""
    for gtt in books.gtts.active(quote.symbol):
        index = gtt.reached_leg(quote.last_units, now)
        if index is not None:
            books.gtts.save(gtt.fired(index, quote.last_units, now, _place(books, gtt, index, quote, now)))


def _place(books: Books, gtt: Gtt, index: int, quote: Quote, now: int) -> int | str:
    """Return the number of the leg's order, or why a fault rule refused it."""
    leg = gtt.legs[index]
    placement = placement_under(books.faults.take(gtt.account, gtt.symbol, OrderEffect), leg.quantity, now)
    if placement.refusal is not None:
        return placement.refusal.message
    return accept(books, gtt.account, leg.order_of(gtt.symbol), placement, quote.last_units, now)
