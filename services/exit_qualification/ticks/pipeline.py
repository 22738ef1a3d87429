"""Transaction of a tick worker: writes results together with their offsets."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from services.exit_qualification.domain.candidates import ExitCandidates
from services.exit_qualification.domain.checkpoint import Checkpoint, SymbolCheckpoint
from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.signal_management_service import DetectedExit, SignalManagementService
from services.exit_qualification.storage.exit_episodes import ExitEpisodeRepository
from services.exit_qualification.storage.open_trades import OpenedTrade, OpenTradeRepository
from services.exit_qualification.storage.operator_controls import SwitchRepository
from services.exit_qualification.storage.tick_checkpoints import TickCheckpointRepository
from services.exit_qualification.storage.waiting_trades import WaitingTradeRepository
from services.exit_qualification.ticks.evaluation import Findings, in_rounds, rearm
from services.exit_qualification.ticks.unsaved_symbols import UnsavedSymbols
from services.exit_qualification.ticks.waiting_exits import WaitingExits
from shared.contracts.vocabulary import RolloutMode
from shared.outbox.unit_of_work import UnitOfWork
from shared.outbox.writing import Outbox
from shared.postgres.row_locks import ROW_LOCK_TIMEOUT_MS, is_lock_timeout
from shared.runtime.failpoints import Failpoint, failpoint
from shared.runtime.health import Health


class TickPipeline:
    """Writes results of the engine.

    Locks are always taken in this order: partitions, trades, intents, symbols, the outbox's sequences; each kind
    sorted. The exit or closure of a trade locked by another transaction is stored as waiting, with the offsets, and
    done
    when the row is free. If another row is locked, the results are committed as waiting, and the trades are then
    processed one by one. After any other failure the engine is ahead of the database: the caller must reload it.
    """

    def __init__(self, database: Engine, outbox: Outbox, signals: SignalManagementService, health: Health) -> None:
        self._database = database
        self._outbox = outbox
        self._signals = signals
        self._waiting = WaitingExits(self._open_unit, signals, health)
        self._unsaved = UnsavedSymbols()

    def write(
        self,
        findings: Findings,
        checkpoints: Mapping[int, Checkpoint],
        symbols: Sequence[SymbolCheckpoint],
        held: Collection[int],
    ) -> list[DetectedExit]:
        """Write exits, trades, symbols and offsets in one transaction; return all exits, including those that waited.

        Workers holding the homes of trades read on a partition `held` here load them from the database.

        Raises
        ------
        Fenced
            Another worker took over one of the partitions; nothing was written.
        """
        symbols = self._unsaved.together_with(symbols, checkpoints)
        try:
            exits = self._write(findings, checkpoints, symbols, held)
        except OperationalError as error:
            if not is_lock_timeout(error):
                raise
        else:
            self._unsaved.keep([], checkpoints)
            return exits
        self._set_aside(findings, checkpoints, symbols, held)
        return self._waiting.take(checkpoints)

    def write_due(
        self, engine: ExitSignalService, held: Mapping[int, Checkpoint], now_ms: int, limit: int
    ) -> list[DetectedExit]:
        """Process waiting work, and write exits without a tick: due by the clock, or with reasons that may fire again.

        At most `limit` disarmed reasons are checked in the database.

        Raises
        ------
        Fenced
            Another worker took over one of the partitions; nothing was written.
        """
        exits = self._waiting.take(held)
        due = engine.on_clock(now_ms)
        asked = engine.disarmed(limit)
        if not asked:
            return exits
        with self._open_unit() as uow:
            due += rearm(engine, ExitEpisodeRepository(uow.connection).eligible(asked))
        return [*exits, *self._write_due(due, held)] if due else exits

    def _write(
        self,
        findings: Findings,
        checkpoints: Mapping[int, Checkpoint],
        symbols: Sequence[SymbolCheckpoint],
        held: Collection[int],
    ) -> list[DetectedExit]:
        with self._open_unit() as uow:
            partitions = TickCheckpointRepository(uow.connection)
            partitions.fence_others(findings.homes, held)
            partitions.advance(checkpoints)
            trades = OpenTradeRepository(uow.connection)
            trades.insert_opened(_by_trade(findings))
            trades.save_plans(findings.plans)
            closed_later = trades.held_by_others(findings.closed)
            trades.mark_closed([trade_id for trade_id in findings.closed if trade_id not in closed_later])
            WaitingTradeRepository(uow.connection).add_closures(sorted(closed_later))
            trades.save_rules(findings.moved)
            exits = self._detect(uow, findings.detected)
            partitions.save_symbols(symbols)
            _commit(uow)
        return exits

    def _write_due(self, due: Sequence[ExitCandidates], held: Mapping[int, Checkpoint]) -> list[DetectedExit]:
        try:
            return self._write_held(due, held)
        except OperationalError as error:
            if not is_lock_timeout(error):
                raise
        with self._open_unit() as uow:
            TickCheckpointRepository(uow.connection).hold(held)
            WaitingTradeRepository(uow.connection).add_exits(due)
            _commit(uow)
        return self._waiting.take(held)

    def _write_held(self, due: Sequence[ExitCandidates], held: Mapping[int, Checkpoint]) -> list[DetectedExit]:
        with self._open_unit() as uow:
            TickCheckpointRepository(uow.connection).hold(held)
            exits = self._detect(uow, due)
            _commit(uow)
        return exits

    def _set_aside(
        self,
        findings: Findings,
        checkpoints: Mapping[int, Checkpoint],
        symbols: Sequence[SymbolCheckpoint],
        held: Collection[int],
    ) -> None:
        """Commit the offsets, and store all work that needs locked rows as waiting."""
        with self._open_unit() as uow:
            partitions, place = TickCheckpointRepository(uow.connection), WaitingTradeRepository(uow.connection)
            partitions.fence_others(findings.homes, held)
            partitions.advance(checkpoints)
            trades = OpenTradeRepository(uow.connection)
            trades.insert_opened(_by_trade(findings))
            trades.save_plans(findings.plans)
            trades.save_rules(findings.moved)
            place.add_closures(findings.closed)
            if SwitchRepository(uow.connection).read().rollout.mode is not RolloutMode.OFF:
                place.add_exits(findings.detected)
            unsaved = partitions.symbols_held_by_others([each.symbol for each in symbols])
            partitions.save_symbols([each for each in symbols if each.symbol not in unsaved])
            _commit(uow)
        self._unsaved.keep([each for each in symbols if each.symbol in unsaved], checkpoints)

    def _detect(self, uow: UnitOfWork, detected: Sequence[ExitCandidates]) -> list[DetectedExit]:
        if not detected:
            return []
        switches = SwitchRepository(uow.connection).read()
        if switches.rollout.mode is RolloutMode.OFF:
            return []
        held = OpenTradeRepository(uow.connection).held_by_others([entry.trade.trade_id for entry in detected])
        WaitingTradeRepository(uow.connection).add_exits(entry for entry in detected if entry.trade.trade_id in held)
        exits: list[DetectedExit] = []
        for entries in in_rounds([entry for entry in detected if entry.trade.trade_id not in held]):
            # An intent about to be sent is not superseded by later ticks of the batch.
            exits += self._signals.on_exits_detected(uow, entries, switches)
        if exits:
            failpoint(Failpoint.TICKS_AFTER_SIGNALS)
        return exits

    def _open_unit(self) -> UnitOfWork:
        return UnitOfWork(self._database, self._outbox, lock_timeout_ms=ROW_LOCK_TIMEOUT_MS)


def _by_trade(findings: Findings) -> list[OpenedTrade]:
    return sorted(findings.opened, key=lambda opened: opened.event.trade_id)


def _commit(uow: UnitOfWork) -> None:
    uow.flush()
    failpoint(Failpoint.TICKS_BEFORE_COMMIT)
    uow.commit()
    failpoint(Failpoint.TICKS_AFTER_COMMIT)
