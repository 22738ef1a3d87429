"""Membership of a tick worker in the consumer group, from joining to leaving."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from confluent_kafka import KafkaException, Message

from services.exit_qualification.domain.square_off import NEVER, SquareOff
from services.exit_qualification.signal_management_service import DetectedExit
from services.exit_qualification.ticks.assignment import Assignment, NotAssignedTogether
from services.exit_qualification.ticks.batch import Layout, read_batch, without
from services.exit_qualification.ticks.evaluation import Findings, judge, symbol_checkpoints
from services.exit_qualification.ticks.group_offsets import GroupOffsets
from services.exit_qualification.ticks.metrics import (
    BATCH_SECONDS,
    RELOADS,
    count_batch,
    time_exits,
)
from services.exit_qualification.ticks.pipeline import TickPipeline
from services.exit_qualification.ticks.side_outputs import Outgoing
from services.exit_qualification.ticks.suspects import Suspects
from shared.clock import Clock, epoch_ms
from shared.errors import ConfigurationError, ExitflowError, Fenced
from shared.kafka.consumer_gaps import GapReport
from shared.kafka.consuming import WatchedConsumer, shown
from shared.kafka.record_faults import Fault, fault_of
from shared.kafka.topic_watch import TopicsChanged
from shared.outbox.signatures import TrustedKeys
from shared.postgres.failures import DATABASE_FAILURES
from shared.runtime.back_off import BackOff
from shared.runtime.health import Health
from shared.runtime.stopping import Stop
from shared.settings import Settings

log = logging.getLogger(__name__)

TICKS = "ticks"
"""Health condition of the loop, renewed by each step."""

REARM_LIMIT = 2000
"""Maximum disarmed reasons checked per statement while ticks flow."""

REARM_ALL = 1_000_000
"""Effectively unlimited; used once after loading, before any record is read."""


@dataclass(frozen=True)
class Surroundings:
    """Dependencies of a session, owned by its caller."""

    settings: Settings
    clock: Clock
    health: Health
    pipeline: TickPipeline
    outgoing: Outgoing
    trusted: TrustedKeys
    square_off: SquareOff = NEVER


class TickSession:
    """Polls, evaluates and writes. After a failure the engine is reloaded from committed data."""

    def __init__(
        self,
        around: Surroundings,
        consumer: WatchedConsumer,
        layout: Layout,
        assignment: Assignment,
        gaps: GapReport,
        stop: Stop,
    ) -> None:
        self._around = around
        self._consumer = consumer
        self._layout = layout
        self._assignment = assignment
        self._gaps = gaps
        self._stop = stop
        self._offsets = GroupOffsets(consumer.consumer, layout, around.clock)
        self._back_off = BackOff()
        self._next_rearm_s = 0.0
        self._suspects = Suspects()

    def step(self) -> None:
        """Process the records of one poll; after a transient failure, reload committed data.

        Raises
        ------
        Fenced, KafkaException, NotAssignedTogether, TopicsChanged
            The membership has ended; join again.
        ConfigurationError
            Continuing could do harm; an operator must act.
        """
        try:
            self._step()
        except (ConfigurationError, Fenced, NotAssignedTogether, TopicsChanged, KafkaException):
            raise
        except Exception as error:  # noqa: BLE001  # whatever it was, the engine is loaded again and tries again
            self._recover(error)

    def _step(self) -> None:
        """Claim waiting partitions, or evaluate and write the records, then rearm if due."""
        settings = self._around.settings
        messages = self._consumer.gather(settings.tick_batch_size, settings.tick_poll_ms / 1000)
        if self._assignment.is_waiting:
            self._take_up()
        elif messages:
            self._take(messages)
        if self._around.clock.monotonic() >= self._next_rearm_s:
            self._rearm(REARM_LIMIT)
        if self._assignment.is_settled:
            self._offsets.commit(self._assignment.held)
        self._gaps.show()
        self._around.health.fine(TICKS)

    def _take_up(self) -> None:
        self._assignment.take_up()
        self._rearm(REARM_ALL)
        self._back_off.reset()

    def _take(self, messages: Sequence[Message]) -> None:
        now_ms = epoch_ms(self._around.clock.now())
        for part in self._suspects.parts(messages, self._layout, now_ms):
            try:
                self._apply(part, now_ms)
            except Exception as error:
                fault = fault_of(error)
                if fault is None:
                    raise
                self._isolate(part, fault)
                return
            self._suspects.clear(part[-1])

    def _isolate(self, part: Sequence[Message], fault: Fault) -> None:
        """Refuse a record that could not be applied, or reread a batch's records one by one."""
        if len(part) > 1:
            log.warning("%d records could not be applied together (%s); retrying each alone", len(part), fault.code)
            self._suspects.add(part)
        else:
            batch = without(part[0], fault, self._layout, self._assignment.held)
            self._around.outgoing.send(batch, self._layout)
            self._around.pipeline.write(Findings(), batch.checkpoints, [], self._assignment.held)
        self._assignment.reload()

    def _apply(self, messages: Sequence[Message], now_ms: int) -> None:
        started_s = self._around.clock.monotonic()
        assignment = self._assignment
        batch = read_batch(messages, self._layout, assignment.held, now_ms, self._around.trusted)
        if not batch.checkpoints:
            return
        self._around.outgoing.send(batch, self._layout)
        findings = judge(assignment.engine, batch.work, assignment.held, assignment.square_off)
        symbols = symbol_checkpoints(assignment.engine, findings.symbols, self._layout.partitions)
        exits = self._around.pipeline.write(findings, batch.checkpoints, symbols, assignment.held)
        assignment.written(batch.checkpoints)
        self._back_off.reset()
        self._after_commit(exits)
        count_batch(batch, findings)
        time_exits(exits, findings.arrived_ms, self._around.clock.now())
        BATCH_SECONDS.observe(self._around.clock.monotonic() - started_s)

    def _rearm(self, limit: int) -> None:
        self._next_rearm_s = self._around.clock.monotonic() + self._around.settings.rearm_poll_ms / 1000
        assignment = self._assignment
        now_ms = epoch_ms(self._around.clock.now())
        self._after_commit(self._around.pipeline.write_due(assignment.engine, assignment.held, now_ms, limit))

    def _after_commit(self, exits: Sequence[DetectedExit]) -> None:
        for each in exits:
            self._assignment.engine.disarm(each.signal.trade_id, each.signal.exit_reason)

    def _recover(self, error: Exception) -> None:
        unforeseen = not isinstance(error, (ExitflowError, *DATABASE_FAILURES))
        text = "%s: %s; loading again from what is committed"
        log.warning(text, type(error).__name__, error, exc_info=error if unforeseen else None)
        RELOADS.labels(type(error).__name__).inc()
        self._around.health.problem(TICKS, shown(error))
        self._assignment.reload()
        self._back_off.wait(self._stop)
