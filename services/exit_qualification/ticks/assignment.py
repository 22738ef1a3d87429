"""Partitions of a worker: assigned by Kafka, claimed in the database, loaded into the engine."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from confluent_kafka import Consumer, TopicPartition
from sqlalchemy import Engine

from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.domain.square_off import SquareOff
from services.exit_qualification.storage.market_calendars import CalendarRepository
from services.exit_qualification.storage.tick_checkpoints import TickCheckpointRepository
from services.exit_qualification.ticks.batch import Layout
from services.exit_qualification.ticks.checkpoint_parts import CheckpointParts
from services.exit_qualification.ticks.engine_loader import collector_paused, load_engine
from services.exit_qualification.ticks.evaluation import Evaluator
from services.exit_qualification.ticks.joined_topics import JoinedTopics
from services.exit_qualification.ticks.limits_feed import LimitsFeed
from services.exit_qualification.ticks.progress import Progress
from services.exit_qualification.ticks.topic_identity import TickLog, require_homes
from shared.errors import ExitflowError, Unavailable
from shared.kafka.consuming import WatchedConsumer
from shared.kafka.topics import bounds_of, ends_of
from shared.outbox.signatures import TrustedKeys
from shared.postgres.connection_limits import LOOPS
from shared.postgres.row_locks import limit_lock_waits
from shared.runtime.failpoints import Failpoint, failpoint

log = logging.getLogger(__name__)


class NotAssignedTogether(Unavailable):
    """Partitions of the two topics differ, as they may during changes of the cluster."""

    code = "not_assigned_together"


class Reassigned(ExitflowError):
    """Kafka took the waiting partitions away, or gave others, while their engine was loaded."""

    code = "reassigned"


class Assignment:
    """Partitions this worker may evaluate.

    Kafka only suggests partitions. A partition is held after its row was claimed under a new epoch and the engine was
    loaded. Before that, and after any failure, it waits and none of its records are read.

    Attributes
    ----------
    progress, checkpoints:
        Offsets reached and stored of the partitions held, and the parts to store next; without any while partitions
        wait.
    engine, evaluator:
        Engine with the trades of exactly these partitions, and its evaluator.
    joined:
        Records of these partitions that wait for earlier ones of the other topic.
    limits:
        Circuit limits for the engine.
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
        self.limits = LimitsFeed(database)
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

    def take_up(self, report: Callable[[int], None]) -> None:
        """Claim the waiting partitions, load the engine and resume at the stored offsets.

        Parameters
        ----------
        report:
            As of `load_engine`.

        Raises
        ------
        NotAssignedTogether
            The topics changed since this worker joined.
        Reassigned
            Other partitions wait by now, or none; nothing was claimed.
        """
        partitions = self._waiting or []
        if not self._log.is_current():
            raise NotAssignedTogether("the topics have changed; joining again")
        bounds = bounds_of(
            self._consumer.admin, [(topic, each) for each in partitions for topic in self._layout.topics]
        )
        with collector_paused():
            with self._database.begin() as connection:
                # The claim waits for the earlier owner's transaction, so the rows loaded after it are final.
                limit_lock_waits(connection, LOOPS.lock_ms)
                claimed = TickCheckpointRepository(connection).claim(partitions, self._owner)
                require_homes(connection, self._layout)
                square_off = replace(self._default_square_off, calendars=CalendarRepository(connection).calendars())
                stay = partial(self._stay, partitions, report)
                loaded = load_engine(connection, claimed, self._new_clock_after_ms, square_off, stay)
                self.limits.load(connection, loaded.engine)
                positions = self._log.start(connection, self._layout, claimed, bounds)
            loaded.engine.watch_loaded()  # sorting may take longer than a transaction may be idle
        # Asked after the load, which may take seconds: ticks must not overtake trades that arrived meanwhile.
        self._consumer.assign(positions, ends_of(self._consumer.admin, list(positions)))
        self._waiting, self.is_settled = None, True
        self.engine, self.joined = loaded.engine, JoinedTopics(self._layout, positions)
        # A change of the calendars fences every partition, so the square-off times are those of the claim.
        self.evaluator = Evaluator(
            loaded.engine, self._layout, claimed, self._trusted, square_off, ahead=loaded.symbols_ahead
        )
        self.progress = Progress(loaded.engine, claimed, self._layout.partitions, self.evaluator.held)
        self.checkpoints = CheckpointParts(self.progress)
        log.info("judging %d partitions as %s", len(claimed), self._owner)

    def _stay(self, partitions: list[int], report: Callable[[int], None], trades: int) -> None:
        """Report a load and poll: a member of the group without a poll for minutes is taken for dead.

        Raises
        ------
        Reassigned
            The poll brought other partitions than those being loaded.
        """
        report(trades)
        self._consumer.take_by_partition(1, 0)
        if self._waiting != partitions:
            raise Reassigned(f"the partitions changed; {trades:,} open trades were loaded")

    def reload(self) -> None:
        """Discard an engine ahead of the database. Held partitions wait to be claimed again."""
        if self._waiting is None:
            self._waiting = sorted(self.progress.held)
        self._let_go()
        self._consumer.unassign()

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
        self.engine = ExitSignalService()
        self.progress = Progress(self.engine, {}, self._layout.partitions)
        self.checkpoints = CheckpointParts(self.progress)
        self.joined = JoinedTopics(self._layout, {})
        self.evaluator = Evaluator(self.engine, self._layout, (), self._trusted)
