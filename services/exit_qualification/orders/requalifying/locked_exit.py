"""Requalification of an existing intent with current facts, under the lock on its trade's row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from services.exit_qualification.domain.candidates import BrickCount
from services.exit_qualification.domain.exit_qualification_service import (
    ExitQualificationResult,
    ExitQualificationService,
)
from services.exit_qualification.domain.gates.gate import Gate
from services.exit_qualification.domain.gates.gate_input import ExitRequest, GateInput, gate_input
from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.level_index import RuleKey
from services.exit_qualification.domain.market_facts import MarketFacts, MarketFactsBySymbol
from services.exit_qualification.domain.order_terms import reducing_side
from services.exit_qualification.domain.switches import Switches
from services.exit_qualification.storage.exit_fills import ExitFillRepository
from services.exit_qualification.storage.exit_intents import ExitIntentRepository
from services.exit_qualification.storage.open_trades import OpenTradeRepository, TradeProjection


@dataclass(frozen=True, slots=True)
class LockedExit:
    """Intent and trade, both rows locked until the transaction ends, unless a page of held exits is only read."""

    intent: ExitIntent
    trade: TradeProjection


def lock_exit(connection: Connection, intent: ExitIntent) -> LockedExit:
    """Lock the trade, then the intent; all code locks in this order."""
    trade = OpenTradeRepository(connection).lock([intent.trade_id])[intent.trade_id]
    return LockedExit(ExitIntentRepository(connection).lock(intent.intent_id), trade)


def try_lock_exit(connection: Connection, intent: ExitIntent) -> LockedExit:
    """Lock as `lock_exit` does, without waiting for the trade.

    Raises
    ------
    RowHeld
        Another transaction holds the trade.
    """
    OpenTradeRepository(connection).lock_now(intent.trade_id)
    return lock_exit(connection, intent)


@dataclass(frozen=True, slots=True)
class SlotExit:
    """Locked exit with the other intents of its trade that hold a slot, locked too."""

    locked: LockedExit
    others: tuple[ExitIntent, ...]


@dataclass(frozen=True, slots=True)
class GateFacts:
    """What the gates need besides the locked rows: switches, markets, and fills of the trades and of their legs."""

    switches: Switches
    markets: MarketFactsBySymbol
    filled: Mapping[UUID, int]
    of_legs: Mapping[RuleKey, int]


def qualify_again(
    connection: Connection,
    locked: LockedExit,
    switches: Switches,
    market: MarketFacts,
    qualification: ExitQualificationService,
) -> ExitQualificationResult:
    """Return the gates' current result; the intent is not counted against itself."""
    intent, fills = locked.intent, ExitFillRepository(connection)
    facts = GateFacts(
        switches,
        {intent.symbol: market},
        fills.totals_of_trades([intent.trade_id]),
        fills.totals_of_legs([] if intent.leg is None else [intent.trade_id]),
    )
    ((_, result),) = qualify_all_again(
        [SlotExit(locked, tuple(other_holders(connection, intent)))], facts, qualification
    )
    return result


def qualify_all_again(
    exits: Sequence[SlotExit], facts: GateFacts, qualification: ExitQualificationService
) -> list[tuple[ExitIntent, ExitQualificationResult]]:
    """Return the gates' current result of each exit, in order; no intent is counted against itself."""
    return [(it.locked.intent, qualification.qualify(_gate_input(it, facts))) for it in exits]


def other_holders(connection: Connection, intent: ExitIntent) -> list[ExitIntent]:
    """Lock and return the trade's other intents at its broker that hold a slot."""
    return list(others_of_trade(intent, ExitIntentRepository(connection).find_slot_holders([intent.trade_id])))


def slot_exits(
    intents: Sequence[ExitIntent], trades: Mapping[UUID, TradeProjection], holders: Iterable[ExitIntent]
) -> list[SlotExit]:
    """Return exits with their trades and the other intents in the slots of these, in order."""
    by_trade: dict[UUID, list[ExitIntent]] = defaultdict(list)
    for holder in holders:
        by_trade[holder.trade_id].append(holder)
    return [SlotExit(LockedExit(it, trades[it.trade_id]), others_of_trade(it, by_trade[it.trade_id])) for it in intents]


def others_of_trade(intent: ExitIntent, holders: Sequence[ExitIntent]) -> tuple[ExitIntent, ...]:
    """Return those of the holders with the intent's trade and broker, without the intent."""
    return tuple(
        holder
        for holder in holders
        if holder.trade_id == intent.trade_id
        and holder.user_broker_id == intent.user_broker_id
        and holder.intent_id != intent.intent_id
    )


def _bricks(intent: ExitIntent) -> BrickCount | None:
    """Return the bricks counted at detection, kept with the verdict of their gate."""
    kept = next((each["detail"] for each in intent.gates if each["gate"] == Gate.CONFIRMED), None)
    if not isinstance(kept, Mapping) or "counted" not in kept:
        return None
    return BrickCount(int(kept["counted"]), int(kept["needed"]))


def _leg_left(locked: LockedExit, of_legs: Mapping[RuleKey, int]) -> int | None:
    """Return the quantity still wanted by a leg; a leg dropped by a changed plan wants its former one."""
    intent = locked.intent
    if intent.leg is None:
        return None
    wanted = locked.trade.trade.leg_quantities.get((intent.exit_reason, intent.leg))
    return intent.quantity if wanted is None else wanted - of_legs.get(intent.rule_key, 0)


def _gate_input(exit_: SlotExit, facts: GateFacts) -> GateInput:
    intent, trade = exit_.locked.intent, exit_.locked.trade
    filled, market = facts.filled.get(intent.trade_id, 0), facts.markets[intent.symbol]
    asked = ExitRequest(
        intent.exit_reason,
        intent.episode_id,
        intent.user_broker_id,
        reducing_side(intent.direction),
        intent.product_type,
        intent.limit_price,
        intent.detected_price,
        _bricks(intent),
        intent.leg,
        _leg_left(exit_.locked, facts.of_legs),
    )
    return gate_input(asked, trade.trade, trade.status, filled, exit_.others, facts.switches, market)
