"""Transaction of a tick worker: writes results together with their offsets."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from services.exit_qualification.domain.candidates import ExitCandidates
from services.exit_qualification.domain.checkpoint import Checkpoint, EngineCheckpoint
from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.domain.level_index import RuleKey
from services.exit_qualification.signal_management_service import DetectedExit, SignalManagementService
from services.exit_qualification.storage.exit_episodes import ExitEpisodeRepository
from services.exit_qualification.storage.open_trades import OpenedTrade, OpenTradeRepository
from services.exit_qualification.storage.operator_controls import SwitchRepository
from services.exit_qualification.storage.queued_exits import QueuedExitRepository
from services.exit_qualification.storage.tick_checkpoints import TickCheckpointRepository
from services.exit_qualification.storage.trade_adjustments import TradeAdjustmentRepository
from services.exit_qualification.storage.waiting_trades import MOST_TRADES, WaitingTradeRepository
from services.exit_qualification.ticks.batch import BatchResult
from services.exit_qualification.ticks.committing import commit
from services.exit_qualification.ticks.exit_writing import AskedExits, must_wait, write_exits
from services.exit_qualification.ticks.waiting_exits import WaitingExits
from shared.contracts.vocabulary import RolloutMode
from shared.outbox.unit_of_work import UnitOfWork
from shared.outbox.writing import Outbox
from shared.postgres.engine import look
from shared.postgres.hot_path import pipelined
from shared.runtime.failpoints import Failpoint, failpoint
from shared.runtime.health import Health


@dataclass(frozen=True, slots=True)
class Written:
    """Outcome of a committed transaction.

    Attributes
    ----------
    unsaved:
        Symbols whose state was not stored, as another transaction held their row.
    """

    exits: Sequence[DetectedExit]
    unsaved: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class _Asked:
    """Exits to write now, what was asked for them, and exits to queue."""

    now: Sequence[ExitCandidates]
    need: AskedExits
    later: Sequence[ExitCandidates]


class TickPipeline:
    """Writes results of the engine.

    Locks are always taken in this order: partitions, trades, symbols, intents, the outbox's sequences; each kind
    sorted. The exit or closure of a trade locked by another transaction is stored as waiting, with the offsets, and
    done when the row is free. If another row is locked, or a slot was taken meanwhile, the results are committed as
    waiting, and the trades are then processed one by one. Of a burst, the first exits are written and the others
    are stored as queued, with the offsets; each later call of `write_queued` writes some. After any other failure
    the engine is ahead of the database: the caller must reload it.

    Attributes
    ----------
    has_queued:
        Whether exits may be queued.
    """

    def __init__(self, database: Engine, outbox: Outbox, signals: SignalManagementService, health: Health) -> None:
        self._database = database
        self._outbox = outbox
        self._signals = signals
        self._waiting = WaitingExits(database, self._open_unit, signals, health)
        self.has_queued = True

    @property
    def has_waiting(self) -> bool:
        """Return whether work of this worker may wait for a locked row."""
        return self._waiting.has_waiting

    def begin(self) -> None:
        """Expect queued and waiting work of the partitions claimed: the owner before may have left it."""
        self.has_queued = self._waiting.has_waiting = True

    def write(self, result: BatchResult, checkpoint: EngineCheckpoint, held: Collection[int]) -> Written:
        """Write exits, trades, states and offsets in one transaction; return all exits, including the waiting ones.

        Workers holding the homes of trades read on a partition `held` here load them from the database.

        Raises
        ------
        Fenced
            Another worker took over one of the partitions; nothing was written.
        """
        try:
            return Written(self._write(result, checkpoint, held))
        except DBAPIError as error:
            if not must_wait(error):
                raise
        unsaved = self._set_aside(result, checkpoint, held)
        exits = self._waiting.take(checkpoint.offsets)
        self._waiting.has_waiting = True  # of other partitions too
        return Written(exits, unsaved)

    def write_waiting(self, held: Mapping[int, Checkpoint]) -> list[DetectedExit]:
        """Process due work after its wait for locked rows; Fenced as of `write`."""
        return self._waiting.take(held)

    def write_queued(self, held: Mapping[int, Checkpoint]) -> list[DetectedExit]:
        """Write some of the queued exits; Fenced as of `write`."""
        exits, self.has_queued = self._waiting.take_queued(held)
        return exits

    def due(self, engine: ExitSignalService, now_ms: int, limit: int) -> tuple[list[ExitCandidates], set[str]]:
        """Return exits without a tick: due by the clock, or with rules that may fire again.

        The symbols returned with them have rearmed or due rules: write their checkpoint, so no tick
        before the rearming is evaluated again after it. At most `limit` disarmed rules are checked in the database.
        """
        due = engine.on_clock(now_ms)
        eligible: list[RuleKey] = []
        if asked := engine.disarmed(limit):
            with look(self._database) as connection:
                episodes = ExitEpisodeRepository(connection)
                eligible, finished = episodes.eligible(asked), episodes.finished(asked)
            engine.retire(finished)
        due += engine.rearm(eligible)
        return due, {entry.trade.symbol for entry in due} | engine.books.symbols_of(key.trade_id for key in eligible)

    def _write(self, result: BatchResult, checkpoint: EngineCheckpoint, held: Collection[int]) -> list[DetectedExit]:
        with self._open_unit() as uow:
            partitions = TickCheckpointRepository(uow.connection)
            partitions.fence_others(result.homes, held)
            if result.follows_trades:
                partitions.advance(checkpoint.offsets).get()
                self._follow(uow, result)
            with pipelined(uow.connection):  # one for all that is left: each costs as much as some statements
                advanced = None if result.follows_trades else partitions.advance(checkpoint.offsets)
                asked = self._ask(uow, result.detected)
                if advanced is not None:
                    advanced.get()
                OpenTradeRepository(uow.connection).save_rules(checkpoint.rules)
                partitions.save_symbols(checkpoint.symbols)
                exits = self._detect(uow, asked)
                commit(uow)
        return exits

    def _follow(self, uow: UnitOfWork, result: BatchResult) -> None:
        """Write the effects of the batch's trade events."""
        trades = OpenTradeRepository(uow.connection)
        trades.insert_opened(_by_trade(result))
        trades.save_plans(result.plans)
        self._adjust(uow, result)
        closed_later = trades.held_by_others(result.closed)
        trades.mark_closed([trade_id for trade_id in result.closed if trade_id not in closed_later])
        self._waiting.has_waiting |= WaitingTradeRepository(uow.connection).add_closures(sorted(closed_later))

    def _set_aside(self, result: BatchResult, checkpoint: EngineCheckpoint, held: Collection[int]) -> set[str]:
        """Commit the offsets, and store all work in need of locked rows as waiting; return the symbols not stored."""
        with self._open_unit() as uow:
            partitions, place = TickCheckpointRepository(uow.connection), WaitingTradeRepository(uow.connection)
            partitions.fence_others(result.homes, held)
            partitions.advance(checkpoint.offsets).get()
            trades = OpenTradeRepository(uow.connection)
            trades.insert_opened(_by_trade(result))
            trades.save_plans(result.plans)
            trades.save_rules(checkpoint.rules)
            self._keep_adjustments(uow, result)
            place.add_adjustments(each.event.trade_id for each in result.adjusted)
            place.add_closures(result.closed)
            if SwitchRepository(uow.connection).read().rollout.mode is not RolloutMode.OFF:
                now, later = _first_trades(result.detected)
                place.add_exits(now)
                self._queue(uow, later)
            unsaved = partitions.symbols_held_by_others([each.symbol for each in checkpoint.symbols])
            partitions.save_symbols([each for each in checkpoint.symbols if each.symbol not in unsaved])
            commit(uow)
        return unsaved

    def _adjust(self, uow: UnitOfWork, result: BatchResult) -> None:
        """Change adjusted trades with free rows; the others wait."""
        if not result.adjusted:
            return
        self._keep_adjustments(uow, result)
        trade_ids = {each.event.trade_id for each in result.adjusted}
        free, held = OpenTradeRepository(uow.connection).lock_free(trade_ids)
        TradeAdjustmentRepository(uow.connection).apply(free.keys())
        self._waiting.has_waiting |= WaitingTradeRepository(uow.connection).add_adjustments(sorted(held))

    def _keep_adjustments(self, uow: UnitOfWork, result: BatchResult) -> None:
        TradeAdjustmentRepository(uow.connection).add(result.adjusted)
        states = {each.event.trade_id: each.states for each in result.adjusted if each.states}
        OpenTradeRepository(uow.connection).save_rules(states)

    def _ask(self, uow: UnitOfWork, detected: Sequence[ExitCandidates]) -> _Asked | None:
        """Ask for what the first exits need, within a pipeline; None without exits."""
        if not detected:
            return None
        now, later = _first_trades(detected)
        switches = SwitchRepository(uow.connection).ask_of({entry.trade.user_broker_id for entry in now})
        trade_ids, symbols = {entry.trade.trade_id for entry in now}, {entry.trade.symbol for entry in now}
        return _Asked(now, AskedExits.of(uow.connection, switches, trade_ids, symbols), later)

    def _detect(self, uow: UnitOfWork, asked: _Asked | None) -> list[DetectedExit]:
        """Write the first exits, and queue the others; those of trades held by another transaction wait."""
        if asked is None or (switches := asked.need.switches.get()).rollout.mode is RolloutMode.OFF:
            return []
        known, held = asked.need.locking.get()
        of_held = [entry for entry in asked.now if entry.trade.trade_id in held]
        self._waiting.has_waiting |= WaitingTradeRepository(uow.connection).add_exits(of_held)
        self._queue(uow, asked.later)
        free = [entry for entry in asked.now if entry.trade.trade_id not in held]
        exits = write_exits(self._signals, uow, free, switches, known, asked.need.facts, are_last_rows=True)
        if exits:
            failpoint(Failpoint.TICKS_AFTER_SIGNALS)
        return exits

    def _queue(self, uow: UnitOfWork, later: Sequence[ExitCandidates]) -> None:
        QueuedExitRepository(uow.connection).add(later)
        self.has_queued = self.has_queued or bool(later)

    def _open_unit(self) -> UnitOfWork:
        return UnitOfWork(self._database, self._outbox)


def _first_trades(detected: Sequence[ExitCandidates]) -> tuple[list[ExitCandidates], list[ExitCandidates]]:
    """Return the decisions of the first trades, as many as one transaction takes, and those of the others."""
    first = set(list(dict.fromkeys(entry.trade.trade_id for entry in detected))[:MOST_TRADES])
    now = [entry for entry in detected if entry.trade.trade_id in first]
    return now, [entry for entry in detected if entry.trade.trade_id not in first]


def _by_trade(result: BatchResult) -> list[OpenedTrade]:
    return sorted(result.opened, key=lambda opened: opened.event.trade_id)
