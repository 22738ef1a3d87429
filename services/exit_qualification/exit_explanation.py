"""Explanation of one trade: its exit, the obstacles to exits, and the distance of every other rule."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection

from services.exit_qualification.domain.exit_signal import ExitSignal
from services.exit_qualification.domain.intent import ExitIntent, blocks
from services.exit_qualification.domain.level_index import RuleKey
from services.exit_qualification.domain.market_facts import MarketFacts
from services.exit_qualification.domain.protective_stop import ProtectiveStop
from services.exit_qualification.domain.rule_standing import RuleStanding, rule_standings
from services.exit_qualification.domain.square_off import SquareOff
from services.exit_qualification.domain.symbol_book import SymbolState
from services.exit_qualification.exit_timeline import TimelineEntry, timeline
from services.exit_qualification.storage.exit_fills import ExitFillRepository
from services.exit_qualification.storage.exit_history import Cooldown, ExitHistoryRepository, WaitingWork
from services.exit_qualification.storage.exit_lists import ExitLists
from services.exit_qualification.storage.market_calendars import CalendarRepository
from services.exit_qualification.storage.market_facts import MarketFactsRepository
from services.exit_qualification.storage.open_trades import OpenTradeRepository, TradeProjection
from services.exit_qualification.storage.protective_stops import ProtectiveStopRepository
from services.exit_qualification.storage.tick_checkpoints import TickCheckpointRepository
from shared.contracts.exits import Fill
from shared.contracts.vocabulary import IntentStatus, TradeStatus
from shared.errors import NotKnownYet
from shared.instants import EPOCH
from shared.postgres.hot_path import Answer, pipelined

LIMIT = 500
"""Signals and intents in one explanation; a trade with more shows the first intents and the latest signals."""


@dataclass(frozen=True, slots=True)
class ExplainedRule:
    """One rule with its obstacle.

    Attributes
    ----------
    held_by:
        ``intent`` while an intent of its rule or a higher rank is live or filled; ``cooldown`` while it lasts; None
        if the rule is armed.
    """

    standing: RuleStanding
    held_by: str | None
    cooldown: Cooldown | None


@dataclass(frozen=True, slots=True)
class ExitExplanation:
    """Everything known about the exits of one trade. Quiet ticks are not kept."""

    trade: TradeProjection
    filled_quantity: int
    symbol: SymbolState | None
    market: MarketFacts
    rules: list[ExplainedRule]
    timeline: list[TimelineEntry]
    waiting: list[WaitingWork]
    protective_stop: ProtectiveStop | None


def explain(connection: Connection, trade_id: UUID, square_off: SquareOff) -> ExitExplanation:
    """Return the explanation of a trade as of the last checkpoint of its symbol.

    Raises
    ------
    NotKnownYet
        The trade is not known here.
    """
    with pipelined(connection):
        asked = _ask(connection, trade_id, square_off)
        known = asked.trade.get().get(trade_id)
        if known is None:
            raise NotKnownYet(f"trade {trade_id} not found; retry, new trades appear within a second")
        traded = known.trade.symbol
        checkpoints = TickCheckpointRepository(connection).ask_named([traded])
        market = MarketFactsRepository(connection).ask([traded])
    checkpoint = checkpoints.get().get(traded)
    symbol = None if checkpoint is None else checkpoint.state
    intents = asked.intents.get()
    entered_at = EPOCH + timedelta(milliseconds=known.trade.entered_at_ms)
    return ExitExplanation(
        trade=known,
        filled_quantity=sum(intent.filled_quantity for intent in intents),
        symbol=symbol,
        market=market.get()[traded],
        rules=_rules(known, symbol, intents, asked.cooldowns.get()),
        timeline=timeline(entered_at, asked.signals.get(), intents, asked.fills.get()),
        waiting=asked.waiting.get(),
        protective_stop=asked.stop.get(),
    )


@dataclass(frozen=True, slots=True)
class _AskedRows:
    """Rows of the trade, asked for together."""

    trade: Answer[dict[UUID, TradeProjection]]
    intents: Answer[list[ExitIntent]]
    fills: Answer[dict[UUID, list[Fill]]]
    cooldowns: Answer[dict[RuleKey, Cooldown]]
    signals: Answer[list[ExitSignal]]
    waiting: Answer[list[WaitingWork]]
    stop: Answer[ProtectiveStop | None]


def _ask(connection: Connection, trade_id: UUID, square_off: SquareOff) -> _AskedRows:
    calendars = CalendarRepository(connection).ask_calendars()
    history = ExitHistoryRepository(connection)
    return _AskedRows(
        OpenTradeRepository(connection).ask_all([trade_id], lambda: SquareOff(square_off.times, calendars.get())),
        ExitLists(connection).ask_of_trade(trade_id, LIMIT),
        ExitFillRepository(connection).ask_of_trade(trade_id),
        history.ask_cooldowns(trade_id),
        history.ask_signals(trade_id, LIMIT),
        history.ask_waiting(trade_id),
        ProtectiveStopRepository(connection).ask_of_trade(trade_id),
    )


def _rules(
    known: TradeProjection,
    symbol: SymbolState | None,
    intents: list[ExitIntent],
    cooldowns: dict[RuleKey, Cooldown],
) -> list[ExplainedRule]:
    if known.status is not TradeStatus.OPEN:
        return []
    executable = [each for each in intents if each.executable]
    rules = []
    for standing in rule_standings(known.trade, symbol):
        key = RuleKey(known.trade.trade_id, standing.reason, standing.leg)
        cooldown = cooldowns.get(key)
        held_by = "cooldown" if cooldown is not None and cooldown.holds else None
        if any(_holds_back(each, key) for each in executable):
            held_by = "intent"
        rules.append(ExplainedRule(standing, held_by, cooldown))
    return rules


def _holds_back(intent: ExitIntent, key: RuleKey) -> bool:
    """Return whether an intent disarms a rule: its own rule, and those of lower rank while they must wait for it."""
    if intent.leg is not None and key.leg is not None:
        return blocks(intent, key, intent.updated_at)
    holds = intent.is_live or (intent.status is IntentStatus.FILLED and intent.leg is None and not intent.beside_leg)
    return holds and key.reason.rank >= intent.exit_reason.rank
