"""A batch through the engine: pure, from work in order to what must be written."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from uuid import UUID

from services.exit_qualification.domain.candidates import ExitCandidate, ExitCandidates
from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.storage.exit_episodes import TradeReason
from services.exit_qualification.storage.open_trades import open_trade
from services.exit_qualification.storage.tick_checkpoints import SymbolCheckpoint
from services.exit_qualification.ticks.records import TickRecord, TradeRecord, home_partition
from shared.contracts.trades import TradeClosed, TradeOpened
from shared.contracts.vocabulary import ExitReason


@dataclass(slots=True)
class Findings:
    """What a batch comes to.

    Attributes
    ----------
    symbols:
        Those that an accepted tick moved.
    homes:
        Partitions that are home to the trades opened and closed.
    arrived_ms:
        For each trade that qualified, when the first tick that did it was made.
    """

    opened: list[tuple[TradeOpened, int]] = field(default_factory=list)
    closed: list[UUID] = field(default_factory=list)
    detected: list[ExitCandidates] = field(default_factory=list)
    symbols: set[str] = field(default_factory=set)
    homes: set[int] = field(default_factory=set)
    arrived_ms: dict[UUID, int] = field(default_factory=dict)
    evaluated: int = 0
    stale: int = 0


def judge(
    engine: ExitSignalService, work: Iterable[TickRecord | tuple[TradeRecord, int]], held: Collection[int]
) -> Findings:
    """Take the work in order. The engine is then ahead of the database until the findings are written.

    A trade whose home is not among the partitions `held` is projected, and judged by the worker that holds it.
    """
    findings = Findings()
    for item in work:
        if isinstance(item, TickRecord):
            _judge_tick(engine, item, findings)
        else:
            _follow_trade(engine, item, findings, held)
    findings.detected = merge_by_trade(findings.detected)
    return findings


def merge_by_trade(detected: Sequence[ExitCandidates]) -> list[ExitCandidates]:
    """One entry a trade, highest rank first: what came first and what came later in one batch is one decision."""
    if len(detected) < 2:
        return list(detected)
    trades = {entry.trade.trade_id: entry.trade for entry in detected}
    found: dict[UUID, dict[ExitReason, ExitCandidate]] = {}
    for entry in detected:
        of_trade = found.setdefault(entry.trade.trade_id, {})
        for candidate in entry.candidates:
            of_trade.setdefault(candidate.exit_reason, candidate)
    return [
        ExitCandidates(trades[trade_id], tuple(sorted(found[trade_id].values(), key=attrgetter("exit_reason.rank"))))
        for trade_id in sorted(found)
    ]


def rearm(engine: ExitSignalService, eligible: Iterable[TradeReason]) -> list[ExitCandidates]:
    """Let these fire again; those that the last price of their symbol meets are due at once."""
    by_trade: dict[UUID, list[ExitReason]] = {}
    for trade_id, reason in eligible:
        by_trade.setdefault(trade_id, []).append(reason)
    return [found for trade_id, reasons in by_trade.items() for found in engine.rearm(trade_id, reasons)]


def symbol_checkpoints(engine: ExitSignalService, symbols: Iterable[str], partitions: int) -> list[SymbolCheckpoint]:
    """The state of these symbols as the engine has it now."""
    return [
        SymbolCheckpoint(symbol, home_partition(symbol, partitions), state)
        for symbol in sorted(symbols)
        if (state := engine.symbol_state(symbol)) is not None
    ]


def _judge_tick(engine: ExitSignalService, tick: TickRecord, findings: Findings) -> None:
    verdict = engine.on_tick(tick.symbol, tick.price, tick.ts_us, tick.seq, tick.arrived_ms)
    if not verdict.accepted:
        findings.stale += 1
        return
    findings.evaluated += 1
    findings.symbols.add(tick.symbol)
    for entry in verdict.candidates:
        findings.detected.append(entry)
        findings.arrived_ms.setdefault(entry.trade.trade_id, tick.arrived_ms)


def _follow_trade(
    engine: ExitSignalService, item: tuple[TradeRecord, int], findings: Findings, held: Collection[int]
) -> None:
    event, home = item
    findings.homes.add(home)
    if isinstance(event, TradeOpened):
        findings.opened.append((event, home))
        if home in held:
            _judge_by_last_tick(engine, event, findings)
    elif isinstance(event, TradeClosed):
        engine.remove_trade(event.trade_id)
        findings.closed.append(event.trade_id)


def _judge_by_last_tick(engine: ExitSignalService, event: TradeOpened, findings: Findings) -> None:
    """A tick that overtook the news of a trade exits it here."""
    found = engine.add_trade(open_trade(event, event.exit_plan))
    state = engine.symbol_state(event.symbol)
    if found and state is not None:
        findings.detected.extend(found)
        findings.arrived_ms[event.trade_id] = state.last_arrived_ms
