"""Exits held back by a gate: one read for a page tells the few that may go on or must end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from sqlalchemy import Connection

from services.exit_qualification.domain.exit_qualification_service import ExitQualificationService
from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.market_facts import MarketFactsBySymbol
from services.exit_qualification.domain.switches import Switches
from services.exit_qualification.orders.requalifying.giving_up import why_give_up
from services.exit_qualification.orders.requalifying.locked_exit import (
    GateFacts,
    SlotExit,
    qualify_all_again,
    slot_exits,
)
from services.exit_qualification.storage.exit_fills import ExitFillRepository
from services.exit_qualification.storage.exit_intents import ExitIntentRepository
from services.exit_qualification.storage.open_trades import OpenTradeRepository
from services.exit_qualification.storage.order_queues import OrderQueues
from shared.contracts.vocabulary import IntentStatus


def no_longer_held(
    connection: Connection,
    held: Sequence[ExitIntent],
    switches: Switches,
    markets: MarketFactsBySymbol,
    prices: Mapping[str, Decimal],
    qualification: ExitQualificationService,
) -> list[ExitIntent]:
    """Return the exits of a page to judge again under their locks; the others stay as they are.

    Nothing is locked: most exits stay, and the next look at the page sees a change made meanwhile.
    """
    if not held:
        return []
    now, exits = OrderQueues(connection).now(), _exits(connection, held)
    judged = qualify_all_again(exits, _facts(connection, held, switches, markets), qualification)
    return [
        intent
        for it, (intent, result) in zip(exits, judged, strict=True)
        if result.status is not IntentStatus.PENDING or why_give_up(it.locked, prices.get(intent.symbol), now)
    ]


def _exits(connection: Connection, held: Sequence[ExitIntent]) -> list[SlotExit]:
    trade_ids = [intent.trade_id for intent in held]
    trades = OpenTradeRepository(connection).find_all(trade_ids)
    return slot_exits(held, trades, ExitIntentRepository(connection).read_slot_holders(trade_ids))


def _facts(
    connection: Connection, held: Sequence[ExitIntent], switches: Switches, markets: MarketFactsBySymbol
) -> GateFacts:
    fills = ExitFillRepository(connection)
    filled = fills.totals_of_trades([intent.trade_id for intent in held])
    of_legs = fills.totals_of_legs({intent.trade_id for intent in held if intent.leg is not None})
    return GateFacts(switches, markets, filled, of_legs)
