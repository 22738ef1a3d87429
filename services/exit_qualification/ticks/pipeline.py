"""TickPipeline: one transaction from findings to rows, with the offsets that they were found at."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from services.exit_qualification.domain.candidates import ExitCandidates
from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.signal_management_service import DetectedExit, SignalManagementService
from services.exit_qualification.storage.exit_episodes import ExitEpisodeRepository
from services.exit_qualification.storage.open_trades import OpenTradeRepository
from services.exit_qualification.storage.switches import SwitchRepository
from services.exit_qualification.storage.tick_checkpoints import (
    Checkpoint,
    SymbolCheckpoint,
    TickCheckpointRepository,
)
from services.exit_qualification.ticks.judging import Findings, rearm
from shared.failpoints import Failpoint, failpoint
from shared.outbox import Outbox
from shared.unit_of_work import UnitOfWork


@dataclass(frozen=True)
class TickPipeline:
    """Writes what the engine found.

    Locks are always taken in this order: partitions, trades, intents, symbols, the outbox's sequences; each kind
    sorted. Whatever fails leaves the engine ahead of the database: the caller must load it again.
    """

    database: Engine
    outbox: Outbox
    signals: SignalManagementService

    def write(
        self,
        findings: Findings,
        checkpoints: Mapping[int, Checkpoint],
        symbols: Sequence[SymbolCheckpoint],
        held: Collection[int],
    ) -> list[DetectedExit]:
        """Write exits, trades, symbols and offsets, all or nothing.

        Workers that hold the homes of trades which were read on a partition `held` here load them from the database.

        Raises
        ------
        Fenced
            Another worker has taken over one of the partitions; nothing was written.
        """
        with UnitOfWork(self.database, self.outbox) as uow:
            partitions = TickCheckpointRepository(uow.connection)
            partitions.fence_others(findings.homes, held)
            partitions.advance(checkpoints)
            _project(uow, findings)
            exits = self._detect(uow, findings.detected)
            partitions.save_symbols(symbols)
            _commit(uow)
        return exits

    def rearm(self, engine: ExitSignalService, held: Mapping[int, Checkpoint], limit: int) -> list[DetectedExit]:
        """Ask the database which of at most `limit` disarmed reasons may fire again, and write what is due at once.

        Raises
        ------
        Fenced
            Another worker has taken over one of the partitions; nothing was written.
        """
        asked = engine.disarmed(limit)
        if not asked:
            return []
        with UnitOfWork(self.database, self.outbox) as uow:
            due = rearm(engine, ExitEpisodeRepository(uow.connection).eligible(asked))
            if not due:
                return []
            TickCheckpointRepository(uow.connection).hold(held)
            exits = self._detect(uow, due)
            _commit(uow)
        return exits

    def _detect(self, uow: UnitOfWork, detected: Sequence[ExitCandidates]) -> list[DetectedExit]:
        if not detected:
            return []
        exits = self.signals.on_exits_detected(uow, detected, SwitchRepository(uow.connection).read())
        if exits:
            failpoint(Failpoint.TICKS_AFTER_SIGNALS)
        return exits


def _project(uow: UnitOfWork, findings: Findings) -> None:
    trades = OpenTradeRepository(uow.connection)
    trades.insert_opened(sorted(findings.opened, key=lambda opened: opened[0].trade_id))
    trades.mark_closed(findings.closed)


def _commit(uow: UnitOfWork) -> None:
    uow.flush()
    failpoint(Failpoint.TICKS_BEFORE_COMMIT)
    uow.commit()
    failpoint(Failpoint.TICKS_AFTER_COMMIT)
