"""Rule 3: only fills close trades, and their P&L is computed from the fills."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from services.checker.exit_books import ExitBooks, Fill, total, value
from services.checker.finding import Finding, Rule, finding
from services.checker.trade_books import Trade, TradeBooks
from shared.contracts.vocabulary import Direction
from shared.money import to_price
from shared.wording import plural


def check_closures(trades: TradeBooks, exits: ExitBooks) -> Finding:
    """Compare every trade with the fills of its intents, as both schemas have them."""
    every = list(trades.trades.values())
    violations = [line for trade in every for line in _wrong(trade, trades.fills.get(trade.trade_id, []), exits)]
    closed = sum(trade.is_closed for trade in every)
    return finding(Rule.CLOSURE, len(every), violations, f"{closed} of {plural(len(every), 'trade')} closed")


def _wrong(trade: Trade, booked: list[Fill], exits: ExitBooks) -> Iterator[str]:
    name = f"trade {trade.trade_id}"
    if trade.quantity - trade.open_quantity != total(booked) or total(booked) != trade.closed_quantity:
        yield (
            f"{name}: {trade.quantity - trade.open_quantity} of {trade.quantity} are closed, "
            f"its fills are {total(booked)}, its closures {trade.closed_quantity}"
        )
    unknown = set(booked) - set(exits.fills_of_trade.get(trade.trade_id, []))
    if unknown:
        yield f"{name}: fills without an intent of it: {sorted(unknown)}"
    if trade.is_closed:
        yield from _wrong_intent(trade, exits, name)
        yield from _wrong_pnl(trade, booked, name)


def _wrong_intent(trade: Trade, exits: ExitBooks, name: str) -> Iterator[str]:
    intent = exits.intents.get(trade.exit_intent_id) if trade.exit_intent_id else None
    if intent is None or intent.trade_id != trade.trade_id:
        yield f"{name}: is CLOSED by intent {trade.exit_intent_id}, not one of its intents"
    elif intent.status != "FILLED" and not exits.fills.get(intent.intent_id):
        yield f"{name}: is CLOSED by intent {intent.intent_id}: {intent.status} without a fill"
    if trade.final_closures != 1:
        yield f"{name}: is CLOSED and has {trade.final_closures} final closures"


def _wrong_pnl(trade: Trade, booked: list[Fill], name: str) -> Iterator[str]:
    if not booked:
        yield f"{name}: is CLOSED without a fill"
        return
    gross = Direction(trade.direction).sign * (value(booked) - trade.entry_price * total(booked))
    gross = trade.closures_gross_pnl if trade.is_adjusted else gross
    costs = None if trade.charges is None else trade.charge_lines  # None: no schedule has rates for its days
    recomputed: dict[str, tuple[Decimal | None, Decimal | None]] = {
        "exit_price": (trade.exit_price, to_price(value(booked) / total(booked))),
        "gross_pnl": (trade.gross_pnl, gross),
        "charges": (trade.charges, costs),
        "net_pnl": (trade.net_pnl, None if costs is None else gross - costs),
    }
    for what, (kept, computed) in recomputed.items():
        if kept != computed:
            yield f"{name}: {what} is {kept}, its fills and charges come to {computed}"
