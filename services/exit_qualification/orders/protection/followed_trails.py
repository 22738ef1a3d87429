"""Triggers of protective stops following trailing stops, by the states stored by the tick worker."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import Connection

from services.exit_qualification.domain.protective_stop import FollowedTrigger
from services.exit_qualification.domain.rule_standing import rule_standings
from services.exit_qualification.storage.open_trades import OpenTradeRepository
from services.exit_qualification.storage.tick_checkpoints import TickCheckpointRepository
from shared.contracts.vocabulary import ExitReason
from shared.exit_rules.protective_stop import followed_trigger
from shared.money import from_units


def followed_triggers(connection: Connection, trade_ids: Collection[UUID]) -> dict[UUID, FollowedTrigger]:
    """Return the triggers of the open trades among these with a following protective stop; at most a second old."""
    following = OpenTradeRepository(connection).following(trade_ids)
    symbols = TickCheckpointRepository(connection).named({trade.symbol for trade, _ in following})
    found = {}
    for trade, plan in following:
        checkpoint = symbols.get(trade.symbol)
        for rule in rule_standings(trade, None if checkpoint is None else checkpoint.state):
            if rule.reason is not ExitReason.TRAILING_STOP or rule.level is None:
                continue
            price = followed_trigger(plan, trade.direction, from_units(rule.level))
            if price is not None and price > 0:
                found[trade.trade_id] = FollowedTrigger(price, trade.plan_version)
    return found
