"""Partitions of a worker: assigned by Kafka, claimed in the database, loaded into the engine."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import replace

from confluent_kafka import Consumer, TopicPartition
from sqlalchemy import Engine

from services.exit_qualification.domain.checkpoint import Checkpoint, EngineCheckpoint, SymbolCheckpoint
from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.domain.square_off import NEVER, SquareOff
from services.exit_qualification.storage.market_calendars import CalendarRepository
from services.exit_qualification.storage.tick_checkpoints import TickCheckpointRepository
from services.exit_qualification.ticks.batch import Layout
from services.exit_qualification.ticks.engine_loader import load_engine
from services.exit_qualification.ticks.evaluation import Evaluator
from services.exit_qualification.ticks.topic_identity import TickLog, require_homes
from shared.errors import Unavailable
from shared.kafka.clients import home_partition
from shared.kafka.consuming import WatchedConsumer
from shared.kafka.topics import bounds_of
from shared.outbox.signatures import TrustedKeys
from shared.postgres.connection_limits import LOOPS
from shared.postgres.row_locks import limit_lock_waits
from shared.runtime.failpoints import Failpoint, failpoint

log = logging.getLogger(__name__)


class NotAssignedTogether(Unavailable):
    """Partitions of the two topics differ, as they may during changes of the cluster."""

    code = "not_assigned_together"


class Assignment:
    """Partitions this worker may evaluate.

    Kafka only suggests partitions. A partition is held after its row was claimed under a new epoch and the engine was
    loaded. Before that, and after any failure, it waits and none of its records are read.

    Attributes
    ----------
    held:
        Stored checkpoint of each partition; empty while partitions wait.
    reached:
        Offsets that the engine has reached; the stored ones are at most a checkpoint's interval behind.
    engine, evaluator:
        Engine with the trades of exactly these partitions, and its evaluator.
    is_settled:
        Whether all assigned partitions are held, possibly none.
    """

    def __init__(
        self,
        consumer: WatchedConsumer,
        tick_log: TickLog,
        layout: Layout,
        database: Engine,
        owner: str,
        new_clock_after_ms: int,
        square_off: SquareOff,
        trusted: TrustedKeys,
    ) -> None:
        self._consumer = consumer
        self._log = tick_log
        self._layout = layout
        self._database = database
        self._owner = owner
        self._new_clock_after_ms = new_clock_after_ms
        self._default_square_off = square_off
        self._trusted = trusted
        self._waiting: list[int] | None = None
        self._let_go()

    @property
    def is_waiting(self) -> bool:
        """Return whether there are partitions to claim."""
        return self._waiting is not None

    def subscribe(self) -> None:
        """Join the group; partitions are assigned and revoked during polls."""
        self._consumer.consumer.subscribe(
            self._layout.topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke
        )

    def take_up(self) -> None:
        """Claim the waiting partitions, load the engine and resume at the stored offsets.

        Raises
        ------
        NotAssignedTogether
            The topics changed since this worker joined.
        """
        partitions = self._waiting or []
        if not self._log.is_current():
            raise NotAssignedTogether("the topics have changed; joining again")
        bounds = bounds_of(
            self._consumer.admin, [(topic, each) for each in partitions for topic in self._layout.topics]
        )
        with self._database.begin() as connection:
            # The claim waits for the earlier owner's transaction, so the rows loaded after it are final.
            limit_lock_waits(connection, LOOPS.lock_ms)
            claimed = TickCheckpointRepository(connection).claim(partitions, self._owner)
            require_homes(connection, self._layout)
            square_off = replace(self._default_square_off, calendars=CalendarRepository(connection).calendars())
            engine = load_engine(connection, partitions, self._new_clock_after_ms, square_off)
            positions = self._log.start(connection, self._layout, claimed, bounds)
        self._consumer.assign(positions)
        self._waiting, self.is_settled = None, True
        self._take_over(claimed, engine, square_off)
        log.info("judging %d partitions as %s", len(claimed), self._owner)

    def reload(self) -> None:
        """Discard the engine, which is ahead of the database. Held partitions wait to be claimed again."""
        if self._waiting is None:
            self._waiting = sorted(self.held)
        self._let_go()
        self._consumer.unassign()

    def unwritten(self) -> set[int]:
        """Return the partitions whose engine is ahead of the stored offsets."""
        return {partition for partition, each in self.reached.items() if each != self.held[partition]}

    def checkpoint(self, partitions: Collection[int]) -> EngineCheckpoint:
        """Return the checkpoint of these partitions at the reached offsets; write it or reload."""
        self._note_new_symbols()
        engine = self.engine
        homes = {
            symbol: partition for partition in partitions for symbol in engine.unsaved(self._symbols_of[partition])
        }
        changed = sorted(homes)
        states = [
            SymbolCheckpoint(symbol, homes[symbol], state)
            for symbol in changed
            if (state := engine.symbol_state(symbol)) is not None
        ]
        offsets = {partition: self.reached[partition] for partition in partitions}
        return EngineCheckpoint(offsets, states, engine.moved_rules(changed))

    def _note_new_symbols(self) -> None:
        """Sort symbols by partition once: a checkpoint must not look at those of all others."""
        for symbol in self.engine.symbols(self._symbols_noted):
            self._symbols_of[home_partition(symbol, self._layout.partitions)].append(symbol)
            self._symbols_noted += 1

    def written(self, checkpoint: EngineCheckpoint, unsaved: Collection[str]) -> None:
        """Record a checkpoint as committed, without the state of the symbols `unsaved`."""
        self.held |= checkpoint.offsets
        for each in checkpoint.symbols:
            if each.symbol not in unsaved:
                self.engine.saved(each.symbol, each.state)

    def _take_over(
        self, claimed: Mapping[int, Checkpoint], engine: ExitSignalService, square_off: SquareOff = NEVER
    ) -> None:
        # A change of the calendars fences every partition, so the square-off times are those of the claim.
        self.held, self.reached, self.engine = dict(claimed), dict(claimed), engine
        self._symbols_of: dict[int, list[str]] = defaultdict(list)
        self._symbols_noted = 0
        self.evaluator = Evaluator(engine, self._layout, claimed, self._trusted, square_off)

    def _on_assign(self, consumer: Consumer, assigned: list[TopicPartition]) -> None:
        consumer.assign([])  # read nothing until the offsets are loaded from the database
        ticks = {each.partition for each in assigned if each.topic == self._layout.ticks}
        trades = {each.partition for each in assigned if each.topic == self._layout.trades}
        if ticks != trades:
            raise NotAssignedTogether("Kafka did not assign the partitions of both topics together; joining again")
        self._let_go()
        self._waiting = sorted(ticks)

    def _on_revoke(self, *_: object) -> None:
        self._waiting = None
        self._consumer.revoked()
        self._let_go()
        failpoint(Failpoint.TICKS_ON_REVOKE)

    def _let_go(self) -> None:
        self.is_settled = False
        self._take_over({}, ExitSignalService())
