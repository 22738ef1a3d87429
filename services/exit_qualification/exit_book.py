"""Facts for exits besides the gates: the locked trades, their other exits, their fills and their markets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

from sqlalchemy import Connection

from services.exit_qualification.domain.candidates import ExitCandidates
from services.exit_qualification.domain.intent import ExitIntent, blocks, is_taken_over
from services.exit_qualification.domain.level_index import RuleKey
from services.exit_qualification.domain.market_facts import MarketFacts
from services.exit_qualification.storage.exit_fills import ExitFillRepository
from services.exit_qualification.storage.exit_intents import ExitIntentRepository
from services.exit_qualification.storage.market_facts import MarketFactsRepository
from services.exit_qualification.storage.open_trades import OpenTradeRepository, TradeProjection
from shared.contracts.vocabulary import TradeStatus
from shared.postgres.hot_path import Answer, pipelined


@dataclass(frozen=True, slots=True)
class AskedFacts:
    """Facts of trades, asked for after the locks on their rows; those of trades held by others are not used."""

    holders: Answer[list[ExitIntent]]
    filled: Answer[dict[UUID, int]]
    market: Answer[dict[str, MarketFacts]]

    @classmethod
    def of(cls, connection: Connection, trade_ids: Collection[UUID], symbols: Collection[str]) -> Self:
        """Ask, within a pipeline; the locks may be part of it."""
        return cls(
            ExitIntentRepository(connection).ask_slot_holders(trade_ids),
            ExitFillRepository(connection).ask_totals_of_trades(trade_ids),
            MarketFactsRepository(connection).ask(symbols),
        )


@dataclass(frozen=True, slots=True)
class ExitBook:
    """Facts of the locked trades: other exits that stay, fills of them and of their legs, and their markets."""

    trades: Mapping[UUID, TradeProjection]
    holders: Mapping[UUID, Sequence[ExitIntent]]
    filled: Mapping[UUID, int]
    of_legs: Mapping[RuleKey, int]
    market: Mapping[str, MarketFacts]
    now: datetime

    @classmethod
    def read(
        cls,
        connection: Connection,
        detected: Sequence[ExitCandidates],
        trades: Mapping[UUID, TradeProjection],
        facts: AskedFacts | None,
        now: datetime,
    ) -> Self:
        """Return the book of locked trades; without `facts`, ask for them.

        The rules of trades with legs are read as well: a leg's quantity stands in the plan.
        """
        if facts is None:
            symbols = {item.trade.symbol for item in detected}
            with pipelined(connection):
                facts = AskedFacts.of(connection, [item.trade.trade_id for item in detected], symbols)
        holders: dict[UUID, list[ExitIntent]] = defaultdict(list)
        for intent in facts.holders.get():
            holders[intent.trade_id].append(intent)
        in_legs = _with_legs(detected)
        return cls(
            {**trades, **OpenTradeRepository(connection).lock(sorted(in_legs))} if in_legs else trades,
            holders,
            facts.filled.get(),
            ExitFillRepository(connection).totals_of_legs(in_legs),
            facts.market.get(),
            now,
        )

    def leg_left(self, key: RuleKey) -> int | None:
        """Return the quantity still wanted by a leg; None for the whole remainder."""
        if key.leg is None:
            return None
        wanted = self.trades[key.trade_id].trade.leg_quantities.get((key.reason, key.leg), 0)
        return wanted - self.of_legs.get(key, 0)

    def staying(self, key: RuleKey) -> list[ExitIntent]:
        """Return the trade's exits not taken over by an exit of the rule."""
        return [each for each in self.holders.get(key.trade_id, ()) if not is_taken_over(each, key, self.now)]

    def left(self, key: RuleKey) -> int:
        """Return the quantity of an exit of the rule."""
        live = sum(each.remaining for each in self.staying(key) if each.is_live)
        left = self.trades[key.trade_id].trade.quantity - self.filled.get(key.trade_id, 0) - live
        wanted = self.leg_left(key)
        return left if wanted is None else min(left, wanted)

    def takes(self, key: RuleKey) -> bool:
        """Return whether nothing stands against an exit of the rule."""
        known = self.trades.get(key.trade_id)
        if known is None or known.status is not TradeStatus.OPEN:
            return False
        return (
            not any(blocks(each, key, self.now) for each in self.holders.get(key.trade_id, ())) and self.left(key) > 0
        )

    def taken_over(self, keys: Collection[RuleKey]) -> list[ExitIntent]:
        """Return the waiting intents cancelled by exits of these rules, each once; all rules of a trade rank alike."""
        by_trade = {key.trade_id: key for key in keys}
        return [
            holder
            for trade_id, key in by_trade.items()
            for holder in self.holders.get(trade_id, ())
            if is_taken_over(holder, key, self.now)
        ]


def _with_legs(detected: Sequence[ExitCandidates]) -> set[UUID]:
    return {each.trade.trade_id for each in detected if any(found.leg is not None for found in each.candidates)}
