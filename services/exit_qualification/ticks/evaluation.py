"""Evaluation of a batch by the engine: pure, from ordered work to results to write."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from services.exit_qualification.domain.candidates import ExitCandidates
from services.exit_qualification.domain.checkpoint import SymbolCheckpoint
from services.exit_qualification.domain.exit_signal import TradeReason
from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.domain.level_index import RuleKey
from services.exit_qualification.domain.square_off import NEVER, SquareOff
from services.exit_qualification.storage.open_trades import ChangedPlan, OpenedTrade, open_trade, with_plan
from services.exit_qualification.ticks.records import TickRecord, TradeRecord
from shared.contracts.trades import TradeClosed, TradeExitPlanChanged, TradeOpened
from shared.contracts.vocabulary import ExitReason
from shared.exit_rules.rule import Saved
from shared.kafka.clients import home_partition
from shared.tick_clock import TickOrder


@dataclass(slots=True)
class Findings:
    """Result of a batch.

    Attributes
    ----------
    detected:
        Detected exits in order of their ticks; a trade may appear several times.
    symbols:
        Symbols with an accepted tick.
    homes:
        Home partitions of the trades opened, changed and closed.
    new_clocks, stuck:
        Symbols with a producer clock set back, and symbols with only stale ticks for a long time.
    moved:
        New rule states of trades.
    arrived_ms:
        For each qualified trade, the time of its first qualifying tick.
    """

    opened: list[OpenedTrade] = field(default_factory=list)
    plans: list[ChangedPlan] = field(default_factory=list)
    closed: list[UUID] = field(default_factory=list)
    detected: list[ExitCandidates] = field(default_factory=list)
    symbols: set[str] = field(default_factory=set)
    homes: set[int] = field(default_factory=set)
    new_clocks: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    moved: dict[UUID, dict[RuleKey, Saved]] = field(default_factory=dict)
    arrived_ms: dict[UUID, int] = field(default_factory=dict)
    evaluated: int = 0
    stale: int = 0


def judge(
    engine: ExitSignalService,
    work: Iterable[TickRecord | tuple[TradeRecord, int]],
    held: Collection[int],
    square_off: SquareOff = NEVER,
) -> Findings:
    """Evaluate the work in order. The engine is then ahead of the database until the result is written.

    A trade with a home outside the partitions `held` is projected, and evaluated by the worker holding that partition.
    """
    findings = Findings()
    for item in work:
        if isinstance(item, TickRecord):
            _judge_tick(engine, item, findings)
        else:
            _follow_trade(engine, item, findings, held, square_off)
    findings.moved = engine.moved_rules(findings.symbols)
    return findings


def in_rounds(detected: Sequence[ExitCandidates]) -> list[list[ExitCandidates]]:
    """Return the first decision of every trade, then the second of those with one, and so on, by trade.

    The first tick that meets a rule decides, as if each tick were a batch; a later one counts only if it had no effect.
    """
    by_trade: dict[UUID, list[ExitCandidates]] = {}
    for entry in detected:
        by_trade.setdefault(entry.trade.trade_id, []).append(entry)
    entries = [by_trade[trade_id] for trade_id in sorted(by_trade)]
    most = max(map(len, entries), default=0)
    return [[of_trade[nth] for of_trade in entries if nth < len(of_trade)] for nth in range(most)]


def rearm(engine: ExitSignalService, eligible: Iterable[TradeReason]) -> list[ExitCandidates]:
    """Rearm these reasons; those met by the last price of their symbol are due immediately."""
    by_trade: dict[UUID, list[ExitReason]] = {}
    for trade_id, reason in eligible:
        by_trade.setdefault(trade_id, []).append(reason)
    return [found for trade_id, reasons in by_trade.items() for found in engine.rearm(trade_id, reasons)]


def symbol_checkpoints(engine: ExitSignalService, symbols: Iterable[str], partitions: int) -> list[SymbolCheckpoint]:
    """Return the engine's current state of these symbols."""
    return [
        SymbolCheckpoint(symbol, home_partition(symbol, partitions), state)
        for symbol in sorted(symbols)
        if (state := engine.symbol_state(symbol)) is not None
    ]


def _judge_tick(engine: ExitSignalService, tick: TickRecord, findings: Findings) -> None:
    verdict = engine.on_tick(tick.symbol, tick.price, tick.ts_us, tick.seq, tick.arrived_ms)
    if not verdict.accepted:
        findings.stale += 1
        if verdict.order is TickOrder.STUCK:
            findings.stuck.append(tick.symbol)
        return
    if verdict.order is TickOrder.NEW_CLOCK:
        findings.new_clocks.append(tick.symbol)
    findings.evaluated += 1
    findings.symbols.add(tick.symbol)
    for entry in verdict.candidates:
        findings.detected.append(entry)
        findings.arrived_ms.setdefault(entry.trade.trade_id, tick.arrived_ms)


def _follow_trade(
    engine: ExitSignalService,
    item: tuple[TradeRecord, int],
    findings: Findings,
    held: Collection[int],
    square_off: SquareOff,
) -> None:
    event, home = item
    findings.homes.add(home)
    state = engine.symbol_state(event.symbol)
    ticks = 0 if state is None else state.ticks
    if isinstance(event, TradeOpened):
        findings.opened.append(OpenedTrade(event, home, entered_tick=ticks))
        if home in held:
            found = engine.add_trade(open_trade(event, event.exit_plan, square_off))
            findings.detected.extend(found)
            findings.symbols.add(event.symbol)
            if found and state is not None:
                findings.arrived_ms[event.trade_id] = state.last_arrived_ms
    elif isinstance(event, TradeExitPlanChanged):
        findings.plans.append(ChangedPlan(event, changed_tick=ticks))
        known = engine.trade(event.trade_id)
        if known is not None:
            changed = with_plan(known, event.exit_plan, event.plan_version, square_off)
            findings.detected.extend(engine.change_plan(changed))
            findings.symbols.add(event.symbol)
    elif isinstance(event, TradeClosed):
        engine.remove_trade(event.trade_id)
        findings.closed.append(event.trade_id)
