"""Tick worker: joins the group, evaluates ticks, and rejoins after a failure."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from services.exit_qualification.ticks.assignment import Assignment
from services.exit_qualification.ticks.session import TICKS, TickContext, TickSession
from services.exit_qualification.ticks.topic_identity import GROUP, TickLog
from shared.contracts.topics import TopicNames
from shared.kafka.clients import open_admin
from shared.kafka.consuming import ConsumerLoop, Step, WatchedConsumer
from shared.kafka.gap_report import CONDITION as GAPS
from shared.kafka.gap_report import GapReport
from shared.kafka.topic_watch import CONDITION as KAFKA
from shared.kafka.topic_watch import TopicsChanged
from shared.postgres.failures import DATABASE_FAILURES
from shared.runtime.stopping import Stop

CONDITIONS = (TICKS, KAFKA, GAPS)
ADVICE = (
    "run `exitflow outbox republish --topic trades.v1 --since … --reason …`, then "
    "`exitflow gaps acknowledge exit-ticks --reason …`"
)


class TickWorker:
    """Worker of the group ``exit-ticks``; any number of them share the partitions.

    It holds, not ready, while the topics are missing or inconsistent, while open trades are not on their home
    partitions, or while the stored offsets belong to another log.
    """

    def __init__(self, context: TickContext, database: Engine) -> None:
        self._context = context
        self._database = database
        self._log = TickLog(open_admin(context.settings), TopicNames(context.settings.kafka_topic_prefix), database)
        self._gaps = GapReport(database, GROUP, context.health, context.clock, ADVICE)

    def run(self, stop: Stop) -> None:
        """Work until stopped."""
        loop = ConsumerLoop(
            self._context.health, self._context.clock, self._context.settings.kafka_watch_s, DATABASE_FAILURES
        )
        loop.run(lambda: self._join(stop), stop, TICKS)

    @contextmanager
    def _join(self, stop: Stop) -> Iterator[Step]:
        context = self._context
        self._gaps.show()
        layout = self._log.begin()
        with WatchedConsumer(
            context.settings,
            GROUP,
            self._log.states,
            context.health,
            context.clock,
            partition_assignment_strategy="range",
        ) as consumer:
            new_clock_after_ms = int(context.settings.tick_new_clock_after_s * 1000)
            assignment = Assignment(
                consumer,
                self._log,
                layout,
                self._database,
                _owner(),
                new_clock_after_ms,
                context.square_off,
                context.trusted,
            )
            session = TickSession(context, consumer, layout, assignment, self._gaps, stop)
            assignment.subscribe()
            try:
                yield session.step
                session.finish()
            except TopicsChanged as error:
                self._log.changed(error.changes)
                raise


def _owner() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
