"""Exits, closures and adjustments waiting for a locked row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from services.exit_qualification.domain.candidates import ExitCandidate, ExitCandidates
from services.exit_qualification.domain.checkpoint import Checkpoint
from services.exit_qualification.domain.level_index import RuleKey
from services.exit_qualification.signal_management_service import DetectedExit, SignalManagementService
from services.exit_qualification.storage.open_trades import OpenTradeRepository, TradeProjection
from services.exit_qualification.storage.operator_controls import SwitchRepository
from services.exit_qualification.storage.queued_exits import QueuedExitRepository, QueuedExits
from services.exit_qualification.storage.tick_checkpoints import TickCheckpointRepository
from services.exit_qualification.storage.trade_adjustments import TradeAdjustmentRepository
from services.exit_qualification.storage.waiting_trades import (
    ADJUST,
    CLOSE,
    MOST_TRADES,
    WaitingRow,
    WaitingTrade,
    WaitingTradeRepository,
)
from services.exit_qualification.ticks.committing import commit
from services.exit_qualification.ticks.exit_writing import AskedExits, must_wait, write_exits
from shared.outbox.unit_of_work import UnitOfWork
from shared.postgres.engine import look
from shared.postgres.hot_path import pipelined
from shared.runtime.health import Health
from shared.runtime.waiting_work import WaitingItem, WaitingReport

OF = "exit-ticks"
MOST_ALONE = 4
"""Maximum trades tried separately per run: each may wait for a lock while ticks wait."""


class WaitingExits:
    """Processes waiting work of held partitions. Not thread-safe.

    Attributes
    ----------
    has_waiting:
        Whether any may wait: stored by this worker, or found at the last look.
    """

    def __init__(
        self,
        database: Engine,
        open_unit: Callable[[], UnitOfWork],
        signals: SignalManagementService,
        health: Health,
    ) -> None:
        self._database = database
        self._open_unit = open_unit
        self._signals = signals
        self._shown = WaitingReport(OF, health)
        self.has_waiting = True

    def take(self, held: Mapping[int, Checkpoint]) -> list[DetectedExit]:
        """Process due work, report trades still waiting, and return the exits written.

        All due trades are processed in one transaction. If a required row is locked, some are processed one by one; the
        longer-waiting ones follow later.

        Raises
        ------
        Fenced
            Another worker took over one of the partitions.
        """
        waiting = self._of(held)
        due = [each.trade_id for each in waiting if each.due][:MOST_TRADES]
        exits = self._take(due, held) if due else []
        if due:
            waiting = self._of(held)
        self.has_waiting = bool(waiting)
        self._shown.show([WaitingItem(f"trade {each.trade_id}", each.why, each.age_s) for each in waiting])
        return exits

    def take_queued(self, held: Mapping[int, Checkpoint]) -> tuple[list[DetectedExit], bool]:
        """Write the oldest queued exits; return those written, and whether more may be queued; Fenced as of `take`.

        Exits of locked trades wait from now on; if another row is locked, or a slot was taken, all that were taken do.
        """
        if not held:
            return [], False
        try:
            return self._take_chunk(held)
        except DBAPIError as error:
            if not must_wait(error):
                raise
        with self._open_unit() as uow, pipelined(uow.connection):
            self.has_waiting |= WaitingTradeRepository(uow.connection).add(self._take_oldest(uow, held).rows)
            commit(uow)
        return [], True

    def _take_chunk(self, held: Mapping[int, Checkpoint]) -> tuple[list[DetectedExit], bool]:
        with self._open_unit() as uow, pipelined(uow.connection):
            taken = self._take_oldest(uow, held)
            if not taken.rows:
                return [], False
            asking = SwitchRepository(uow.connection).ask()
            asked = AskedExits.of(uow.connection, asking, {row.trade_id for row in taken.rows}, taken.symbols)
            known, locked = asked.locking.get()
            place = WaitingTradeRepository(uow.connection)
            self.has_waiting |= place.add([row for row in taken.rows if row.trade_id in locked])
            detected = _candidates([row for row in taken.rows if row.trade_id not in locked], known)
            switches = asked.switches.get()
            exits = write_exits(self._signals, uow, detected, switches, known, asked.facts, are_last_rows=True)
            commit(uow)
        return exits, True

    def _take_oldest(self, uow: UnitOfWork, held: Mapping[int, Checkpoint]) -> QueuedExits:
        holding = TickCheckpointRepository(uow.connection).hold(held)
        taking = QueuedExitRepository(uow.connection).ask_oldest(held)
        holding.get()
        return taking.get()

    def _of(self, held: Mapping[int, Checkpoint]) -> list[WaitingTrade]:
        if not held:
            return []
        with look(self._database) as connection:
            return WaitingTradeRepository(connection).of_partitions(held)

    def _take(self, trade_ids: Sequence[UUID], held: Mapping[int, Checkpoint]) -> list[DetectedExit]:
        try:
            return self._take_together(trade_ids, held)
        except DBAPIError as error:
            if not must_wait(error):
                raise
        if len(trade_ids) == 1:
            self._postpone(trade_ids)
            return []
        return [found for trade_id in trade_ids[:MOST_ALONE] for found in self._take([trade_id], held)]

    def _take_together(self, trade_ids: Sequence[UUID], held: Mapping[int, Checkpoint]) -> list[DetectedExit]:
        with self._open_unit() as uow:
            TickCheckpointRepository(uow.connection).hold(held).get()
            trades = OpenTradeRepository(uow.connection)
            known, locked = trades.lock_free(trade_ids)
            free = sorted(set(trade_ids) - locked)
            place = WaitingTradeRepository(uow.connection)
            place.postpone(locked)
            rows = place.lock(free) if free else []
            if self._adjust(uow, rows):
                known, _ = trades.lock_free(free)  # with their new terms
            exits = self._do(uow, rows, known) if free else []
            place.remove(free)
            commit(uow)
        return exits

    def _adjust(self, uow: UnitOfWork, rows: Sequence[WaitingRow]) -> bool:
        """Change the trades with a waiting adjustment; return whether there are any.

        Their partitions are loaded again, by this worker too: one started while they waited has the old terms.
        """
        due = {row.trade_id for row in rows if row.work == ADJUST}
        homes = TradeAdjustmentRepository(uow.connection).apply(due)
        TickCheckpointRepository(uow.connection).fence_others(homes, held=())
        return bool(due)

    def _do(
        self, uow: UnitOfWork, rows: Sequence[WaitingRow], known: Mapping[UUID, TradeProjection]
    ) -> list[DetectedExit]:
        closed = {row.trade_id for row in rows if row.work == CLOSE}
        OpenTradeRepository(uow.connection).mark_closed(sorted(closed))
        detected = _candidates([row for row in rows if row.trade_id not in closed], known)
        return write_exits(self._signals, uow, detected, SwitchRepository(uow.connection).read(), known)

    def _postpone(self, trade_ids: Sequence[UUID]) -> None:
        with self._open_unit() as uow:
            WaitingTradeRepository(uow.connection).postpone(trade_ids)
            commit(uow)


def _candidate(symbol: str, key: RuleKey, row: WaitingRow) -> ExitCandidate:
    return ExitCandidate(row.trade_id, symbol, key.reason, row.price, row.at_us or 0, row.level, key.leg)


def _candidates(rows: Sequence[WaitingRow], known: Mapping[UUID, TradeProjection]) -> list[ExitCandidates]:
    """Return the decisions on each known trade in the order of their ticks."""
    by_tick: dict[tuple[UUID, int], list[ExitCandidate]] = defaultdict(list)
    for row in rows:
        found, key = known.get(row.trade_id), row.rule_key
        if found is not None and key is not None:
            by_tick[row.trade_id, row.at_us or 0].append(_candidate(found.trade.symbol, key, row))
    return [
        ExitCandidates(
            known[trade_id].trade, tuple(sorted(of_tick, key=lambda each: (each.exit_reason.rank, each.leg or 0)))
        )
        for (trade_id, _), of_tick in sorted(by_tick.items())
    ]
