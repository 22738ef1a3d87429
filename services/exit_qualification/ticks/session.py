"""Membership of a tick worker in the consumer group, from joining to leaving."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from confluent_kafka import KafkaException

from services.exit_qualification.domain.checkpoint import EngineCheckpoint
from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.domain.square_off import NEVER, SquareOff
from services.exit_qualification.signal_management_service import DetectedExit
from services.exit_qualification.ticks.assignment import Assignment, NotAssignedTogether, Reassigned
from services.exit_qualification.ticks.batch import BatchResult, Layout, Records, Refused, offsets_after
from services.exit_qualification.ticks.causes import trace_causes
from services.exit_qualification.ticks.checkpoint_parts import PARTS
from services.exit_qualification.ticks.group_offsets import GroupOffsets
from services.exit_qualification.ticks.metrics import (
    BATCH_SECONDS,
    RELOADS,
    count_batch,
    time_exits,
)
from services.exit_qualification.ticks.pipeline import TickPipeline
from services.exit_qualification.ticks.rearm_schedule import RearmSchedule
from services.exit_qualification.ticks.side_outputs import Outgoing
from services.exit_qualification.ticks.suspects import Suspects, one_by_one
from shared.back_off import BackOff
from shared.clock import Clock
from shared.errors import ConfigurationError, ExitflowError, Fenced
from shared.instants import epoch_ms
from shared.kafka.consuming import WatchedConsumer, shown
from shared.kafka.gap_report import GapReport
from shared.kafka.record_faults import Fault, fault_of
from shared.kafka.topic_watch import TopicsChanged
from shared.outbox.signatures import TrustedKeys
from shared.postgres.failures import DATABASE_FAILURES
from shared.runtime.health import Health
from shared.runtime.stopping import Stop
from shared.settings import Settings

log = logging.getLogger(__name__)

TICKS = "ticks"
"""Health condition of the loop, renewed by each step."""

OTHERS_WAITING_S = 5.0
"""Interval between looks for waiting work not stored by this worker itself."""

RULES_AT_START = 2_000
"""Fired rules of one query after the load."""

UNSETTLED_POLL_S = 0.05
"""Longest wait for records without partitions: a poll that is given some goes on waiting."""


class Stopping(ExitflowError):
    """The process ends before a long step has."""

    code = "stopping"


@dataclass(frozen=True)
class TickContext:
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
        context: TickContext,
        consumer: WatchedConsumer,
        layout: Layout,
        assignment: Assignment,
        gaps: GapReport,
        stop: Stop,
    ) -> None:
        self._context = context
        self._consumer = consumer
        self._layout = layout
        self._assignment = assignment
        self._gaps = gaps
        self._stop = stop
        self._offsets = GroupOffsets(consumer.consumer, layout, context.clock)
        self._back_off = BackOff()
        self._pipeline = context.pipeline
        self._waited_s = -inf
        self._rearming = RearmSchedule(context.settings.rearm_poll_ms / 1000)
        self._next_checkpoint_s = self._next_round_s = 0.0
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

    def finish(self) -> None:
        """Write the last checkpoint before leaving the group: the next owner reads nothing again."""
        try:
            self._checkpoint(self._assignment.progress.unwritten())
        except (ExitflowError, *DATABASE_FAILURES) as error:
            log.warning("the last checkpoint was not written (%s); its records will be read again", shown(error))

    def _step(self) -> None:
        """Claim waiting partitions, or evaluate the records and write the urgent exits; then do the due work."""
        records = self._consumer.take_by_partition(self._context.settings.tick_batch_size, self._wait_s())
        if self._assignment.is_waiting:
            self._take_up()
        else:
            self._take_joined(records)
        if self._pipeline.has_queued:
            self._after_commit(self._pipeline.write_queued(self._assignment.progress.held))
        self._judge_without_ticks()
        if self._context.clock.monotonic() >= self._next_checkpoint_s:
            self._checkpoint_in_parts()
        if self._assignment.is_settled:
            self._offsets.commit(self._assignment.progress.held)
        self._gaps.show()
        self._context.health.fine(TICKS)

    def _take_joined(self, records: Records) -> None:
        """Judge the records that wait for no earlier one of the other topic."""
        joined, clock = self._assignment.joined, self._context.clock
        ready = joined.take(records, self._consumer.ends, clock.monotonic(), epoch_ms(clock.now()))
        self._consumer.pause(joined.full)
        if ready:
            self._take(ready)

    def _wait_s(self) -> float:
        """Return how long to wait for records: until other work is due."""
        if self._pipeline.has_queued:
            return 0.0
        if not self._assignment.is_settled:
            return UNSETTLED_POLL_S
        now_s, engine = self._context.clock.monotonic(), self._assignment.engine
        until_deadline_s = (engine.next_deadline_ms - epoch_ms(self._context.clock.now())) / 1000
        due_s = now_s + min(self._context.settings.tick_poll_ms / 1000, until_deadline_s)
        due_s = min(due_s, self._next_waiting_s(), self._assignment.joined.until_s)
        if held := self._assignment.evaluator.held:
            due_s = min(due_s, self._assignment.limits.next_s(held))
        if engine.disarmed_count:
            due_s = min(due_s, self._rearming.next_s)
        if self._assignment.progress.unwritten():
            due_s = min(due_s, self._next_checkpoint_s)
        return max(due_s - now_s, 0.0)

    def _take_up(self) -> None:
        try:
            self._assignment.take_up(self._report_loading)
        except (Stopping, Reassigned) as error:
            log.info("%s", error)
            return
        self._pipeline.begin()
        self._waited_s = -inf
        self._rearm_all()
        self._back_off.reset()

    def _report_loading(self, trades: int) -> None:
        """Show how far the load has come; one of a large book is no hang, and ends when the process is to end."""
        self._context.health.problem(TICKS, f"loading: {trades:,} open trades so far")
        if self._stop.is_set():
            raise Stopping(f"stopping; {trades:,} open trades were loaded")

    def _rearm_all(self) -> None:
        """Do as `_rearm` with every disarmed rule, few enough at a time for short statements."""
        left = self._assignment.engine.disarmed_count
        while True:
            self._rearm(min(left, RULES_AT_START))
            left -= RULES_AT_START
            if left <= 0:
                return
            self._context.health.problem(TICKS, f"loaded; {left:,} fired rules are still to be checked")

    def _take(self, records: Records) -> None:
        now_ms = epoch_ms(self._context.clock.now())
        held = self._assignment.progress.held
        mine = {where: messages for where, messages in records.items() if where[1] in held}
        suspects = self._suspects
        for part in one_by_one(mine, self._layout, now_ms) if suspects.are_in(mine) else [mine]:
            try:
                if fault := suspects.fault_of(part):
                    self._refuse(part, fault)
                else:
                    self._apply(part, now_ms)
            except Exception as error:
                fault = fault_of(error)
                if fault is None:
                    raise
                self._isolate(part, fault)
                return
            suspects.clear(part)

    def _isolate(self, part: Records, fault: Fault) -> None:
        """Read a failed batch again from the last checkpoint: record by record, or without the one at fault."""
        if self._suspects.are_in(part):
            self._suspects.condemn(part, fault)
        else:
            log.warning("records could not be applied together (%s); retrying each alone", fault.code)
            self._suspects.add(part)
        self._assignment.reload()

    def _refuse(self, record: Records, fault: Fault) -> None:
        """Put a record on the dead-letter topic and pass it."""
        [[message]] = record.values()
        self._context.outgoing.send(BatchResult(refused=[Refused(message, fault.code, fault.reason)]), self._layout)
        progress = self._assignment.progress
        progress.reached |= offsets_after(record, self._layout, progress.reached)
        self._checkpoint(progress.unwritten())

    def _apply(self, records: Records, now_ms: int) -> None:
        started_s = self._context.clock.monotonic()
        progress = self._assignment.progress
        result = self._assignment.evaluator.evaluate(records, now_ms)
        self._context.outgoing.send(result, self._layout)
        progress.reached |= offsets_after(records, self._layout, progress.reached)
        self._conclude(result)
        self._back_off.reset()
        BATCH_SECONDS.observe(self._context.clock.monotonic() - started_s)

    def _conclude(self, result: BatchResult) -> None:
        """Count a result, and write its urgent part."""
        count_batch(result)
        trace_causes(result)
        if result.urgent or result.urgent_symbols:
            self._write(result, self._assignment.progress.checkpoint(result.urgent, result.urgent_symbols))

    def _checkpoint_in_parts(self) -> None:
        """Write the next part of a checkpoint; all partitions have theirs within the interval."""
        now_s, interval_s = self._context.clock.monotonic(), self._context.settings.tick_checkpoint_ms / 1000
        if not interval_s:
            self._checkpoint(self._assignment.progress.unwritten())
            return
        checkpoints = self._assignment.checkpoints
        if checkpoints.is_between_rounds:
            self._next_round_s = now_s + interval_s
        if part := checkpoints.next():
            self._write(BatchResult(), part)
        self._next_checkpoint_s = self._next_round_s if checkpoints.is_between_rounds else now_s + interval_s / PARTS

    def _checkpoint(self, partitions: set[int]) -> None:
        """Write the offsets and states of these partitions."""
        if partitions:
            self._write(BatchResult(), self._assignment.progress.checkpoint(partitions))

    def _write(self, result: BatchResult, checkpoint: EngineCheckpoint) -> None:
        """Write a result with the checkpoint of its changes."""
        progress = self._assignment.progress
        written = self._pipeline.write(result, checkpoint, progress.held)
        progress.written(checkpoint, written.unsaved)
        self._after_commit(written.exits)
        time_exits(written.exits, result.arrived_ms, self._context.clock.now())

    def _judge_without_ticks(self) -> None:
        """Write due exits without a tick: waiting ones, and those by the clock or of rules that may fire again."""
        now_s, engine = self._context.clock.monotonic(), self._assignment.engine
        if now_s >= self._next_waiting_s():
            self._waited_s = now_s
            self._after_commit(self._pipeline.write_waiting(self._assignment.progress.held))
        self._follow_limits(now_s, engine)
        count = self._rearming.take(now_s, engine.disarmed_count)
        if count or engine.next_deadline_ms <= epoch_ms(self._context.clock.now()):
            self._rearm(count)

    def _follow_limits(self, now_s: float, engine: ExitSignalService) -> None:
        """Take new circuit limits, and judge the ticks that waited for them.

        The symbols are written first: their earlier ticks are not judged again by these limits.
        """
        if not self._assignment.is_settled:
            return
        evaluator = self._assignment.evaluator
        news = self._assignment.limits.follow(engine, evaluator.held, now_s)
        if limited := engine.books.unsaved(news.changed):
            self._write(BatchResult(), self._assignment.progress.checkpoint(symbols=limited))
        if news.decided:
            self._conclude(evaluator.release(news.decided))

    def _next_waiting_s(self) -> float:
        """Return when to look for waiting work: soon if there is some, else in case another worker has left it."""
        interval_s = self._context.settings.rearm_poll_ms / 1000
        return self._waited_s + (interval_s if self._pipeline.has_waiting else max(interval_s, OTHERS_WAITING_S))

    def _rearm(self, count: int) -> None:
        """Write exits due by the clock, and of so many disarmed rules those that are due and may fire."""
        progress = self._assignment.progress
        due, symbols = self._pipeline.due(self._assignment.engine, epoch_ms(self._context.clock.now()), count)
        if due or self._assignment.engine.books.unsaved(symbols):
            self._write(BatchResult(detected=due), progress.checkpoint(symbols=symbols))

    def _after_commit(self, exits: Sequence[DetectedExit]) -> None:
        for each in exits:
            self._assignment.engine.disarm(each.signal.trade_id, each.signal.exit_reason, each.signal.leg)

    def _recover(self, error: Exception) -> None:
        unforeseen = not isinstance(error, (ExitflowError, *DATABASE_FAILURES))
        text = "%s: %s; loading the committed state again"
        log.warning(text, type(error).__name__, error, exc_info=error if unforeseen else None)
        RELOADS.labels(type(error).__name__).inc()
        self._context.health.problem(TICKS, shown(error))
        self._assignment.reload()
        self._back_off.wait(self._stop)
