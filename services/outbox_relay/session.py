"""One life of a relay: the loop from the outbox to Kafka and back, until something fails."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack

from services.outbox_relay.metrics import RelayMetrics
from services.outbox_relay.parking.quarantine import Quarantine, Step
from services.outbox_relay.parking.replays import Replays
from services.outbox_relay.publish_spans import PublishSpans
from services.outbox_relay.publishing.failures import DeliveryFailed
from services.outbox_relay.publishing.publisher import Publisher
from services.outbox_relay.publishing.topic_layouts import TopicLayouts
from services.outbox_relay.reading.adaptive_wait import AdaptivePoll
from services.outbox_relay.reading.commit_signal import CommitSignal
from services.outbox_relay.reading.news_wait import NewsWait
from services.outbox_relay.reading.windows import WindowReader
from services.outbox_relay.shard_holder import ShardHolder
from shared.clock import Clock
from shared.outbox import after_commit
from shared.runtime.failpoints import Failpoint, failpoint
from shared.runtime.stopping import Stop
from shared.settings import Settings

log = logging.getLogger(__name__)

LONGEST_BATCH = 250
ROWS_WAIT_S = 0.002
"""How long to wait for the server's next rows before looking after everything else."""

STALL_S = 2
"""A stream not read for so long is given up: it holds the server's oldest snapshot."""

RECORD_S = 0.1
TEND_S = 0.25
"""How often leases are looked after, but for a resting relay: a shard set free is taken within this time."""

ARM_S = 0.02
"""How often a relay tries to rest."""

GATHER_S = 0.005
"""Pause between looks in vain while producers gather events: an event of meanwhile would be gathered for longer."""

ANSWER_S = 0.001
"""How long to wait at most while a record is sent on its own."""

DRAIN_S = 5
"""How long a hand-over waits at most for records under way; half a lease if shorter."""


class Timer:
    """A recurring due time."""

    def __init__(self, clock: Clock, every_s: float) -> None:
        self._clock = clock
        self._every_s = every_s
        self._due_at = clock.monotonic()

    def is_due(self) -> bool:
        """Return True once per period, and start the next one."""
        now = self._clock.monotonic()
        if now < self._due_at:
            return False
        self._due_at = now + self._every_s
        return True


class Session:
    """Publish until stopped. Any error ends the session and discards its state."""

    def __init__(
        self,
        shards: ShardHolder,
        reader: WindowReader,
        publisher: Publisher,
        quarantine: Quarantine,
        replays: Replays,
        layouts: TopicLayouts,
        signal: CommitSignal,
        metrics: RelayMetrics,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._shards = shards
        self._reader = reader
        self._publisher = publisher
        self._quarantine = quarantine
        self._replays = replays
        self._layouts = layouts
        self._metrics = metrics
        self._clock = clock
        tracer = after_commit.tracer()
        self._spans = None if tracer is None else PublishSpans(tracer, clock)
        self._in_flight_limit = settings.relay_batch_size
        self._drain_s = min(DRAIN_S, settings.relay_lease_s / 2)
        self._longest_wait_s = settings.relay_poll_max_ms / 1000
        poll = AdaptivePoll(settings.relay_poll_min_ms / 1000, self._longest_wait_s)
        self._news = NewsWait(poll, signal, settings.relay_lease_s, Timer(clock, ARM_S).is_due)
        self._tend = Timer(clock, TEND_S)
        self._record = Timer(clock, RECORD_S)
        self._read_at = clock.monotonic()
        self._unrecorded = 0
        self._any_may_have_passed = False
        self._has_room = True
        self._upkeep_is_due = False

    def run(self, stop: Stop, on_tended: Callable[[], None]) -> None:
        """Publish until `stop` is set, then hand over. `on_tended` is called whenever the leases are in order.

        Raises
        ------
        ConfigurationError
            The outbox's progress belongs to another server.
        DeliveryFailed, Fenced, psycopg.Error, KafkaException
            The session is over; the next one resumes from the recorded progress.
        """
        self._metrics.begins()
        try:
            self._shards.begin()
            self._layouts.begin()
            while not stop.is_set():
                self._step(stop, on_tended)
            self._hand_over()
        except DeliveryFailed:
            self._suspect_what_is_in_flight()
            self._take_acknowledgements()
            self._record_progress(everything=True)
            raise
        finally:
            self._throw_away()

    def _throw_away(self) -> None:
        """Discard each part, even if another one fails."""
        with ExitStack() as parts:
            parts.callback(self._reader.close)
            for part in (self._replays, self._quarantine, self._publisher):
                parts.callback(part.throw_away)

    def _step(self, stop: Stop, on_tended: Callable[[], None]) -> None:
        if self._is_upkeep_due():
            self._shards.tend()
            self._layouts.tend()
            self._quarantine.tend(self._shards.all())
            self._replays.look(self._shards.held)
            self._news.must_look()
            on_tended()
        self._shards.refuse_if_run_out()
        wait_s = self._move()
        self._replays.step(self._shards.held)
        came = self._publisher.poll(self._wait_before_poll(wait_s, stop))
        if came or self._any_may_have_passed:
            self._take_acknowledgements()
        self._record_progress(everything=False)
        if self._news.is_resting and not self._is_trying():
            self._news.rest(stop)

    def _is_upkeep_due(self) -> bool:
        """Return whether to look after everything else; a relay just woken by a commit looks for it first, once."""
        was_due, self._upkeep_is_due = self._upkeep_is_due, self._upkeep_is_due or self._tend.is_due()
        if not self._upkeep_is_due or (self._news.is_notified and not was_due):
            return False
        self._upkeep_is_due = False
        return True

    def _is_trying(self) -> bool:
        """Return whether records are sent on their own, each waiting for its answer."""
        return self._quarantine.is_busy() or self._replays.is_busy()

    def _wait_before_poll(self, wait_s: float, stop: Stop) -> float:
        """Wait as far as Kafka's answers may wait; return for how long to wait for them."""
        if self._is_trying():
            return min(wait_s, ANSWER_S)
        if self._news.is_resting:
            return 0
        if wait_s and self._has_room and self._news.is_in_vain and self._publisher.is_gathering:
            stop.wait(GATHER_S)
            return 0
        return wait_s

    def _move(self) -> float:
        """Read on if there is room, and send; return the seconds to wait, unless acknowledgements arrive."""
        self._news.is_resting = False
        if self._layouts.is_switching():
            if self._publisher.in_flight or self._is_trying():
                self._give_up_stalled_reading()
                return self._longest_wait_s
            self._layouts.switch()
        if not self._has_room:
            self._give_up_stalled_reading()
        elif self._read():
            self._news.found()
        else:
            self._news.found_nothing(is_all_done=self._is_all_done())
        self._has_room = self._send()
        if not self._has_room:
            return self._longest_wait_s
        return 0 if self._reader.is_reading() else self._news.wait_s

    def _is_all_done(self) -> bool:
        """Return True if nothing is under way: no event in flight, being read, or waiting for another one's trial."""
        if self._publisher.in_flight or self._reader.is_reading():
            return False
        return not any(shard.unsent for shard in self._shards.held.values())

    # From the outbox to Kafka

    def _read(self) -> bool:
        """Read on, or look for something new; True if there were rows."""
        if not self._reader.is_reading() and not self._look():
            return False
        self._read_at = self._clock.monotonic()
        if self._reader.take(ROWS_WAIT_S) == 0:
            return False
        failpoint(Failpoint.RELAY_AFTER_READ)
        return True

    def _look(self) -> bool:
        """Begin to read what is new, if anything is."""
        if self._reader.is_read_out and self._news.is_nothing_new():
            return False
        staying = [shard for shard in self._shards.all() if not shard.leaving]
        is_anything_new = self._reader.look(staying, is_notified=self._news.is_notified)
        self._news.looked()
        return is_anything_new

    def _give_up_stalled_reading(self) -> None:
        if self._reader.is_reading() and self._clock.monotonic() - self._read_at > STALL_S:
            self._reader.close()

    def _send(self) -> bool:
        """Send rows while there is room in flight; return True if there is room to read on."""
        blocked = 0
        for shard in self._shards.held.values():
            while shard.unsent:
                # The end of a window and a settled quarantine wait for no answer.
                self._any_may_have_passed = True
                step = self._quarantine.step(shard) if self._quarantine.concerns(shard) else Step.SEND
                if step is Step.QUARANTINED:
                    continue
                if step is Step.BLOCKED:
                    blocked += sum(len(batch.rows) for batch in shard.unsent)
                    break
                batch = shard.unsent[0]
                if self._publisher.in_flight + len(batch.rows) > self._in_flight_limit:
                    return False
                run = self._publisher.send(batch)
                if batch.rows and not run.events:
                    return False
                if self._spans is not None:
                    run.rows = batch.rows[: run.events]
                shard.sent(run)
                failpoint(Failpoint.RELAY_AFTER_PRODUCE)
        return blocked < self._in_flight_limit

    # From Kafka's acknowledgements to the outbox

    def _take_acknowledgements(self) -> None:
        self._any_may_have_passed = False
        now_s = self._clock.monotonic()
        held = self._shards.all()
        passed = [run for shard in held for run in shard.advance()]
        passed += self._quarantine.record(held)
        for run in passed:
            self._metrics.acknowledged(run, now_s)
        if self._spans is not None and passed:
            self._spans.published(passed)
        events = sum(run.events for run in passed)
        if events:
            self._publisher.answers.note()
            self._unrecorded += events
        if passed and self._publisher.in_flight:
            failpoint(Failpoint.RELAY_MID_BATCH)

    def _suspect_what_is_in_flight(self) -> None:
        refused = self._publisher.refused()
        if refused is not None:
            self._quarantine.suspect(self._shards.all(), refused)

    def _record_progress(self, *, everything: bool) -> None:
        """Store progress periodically, and before too many events could repeat."""
        if not (everything or self._unrecorded >= self._in_flight_limit // 2 or self._record.is_due()):
            return
        self._unrecorded = 0
        published = [s for s in self._shards.all() if s.is_worth_recording()]
        if published:
            self._shards.store_progress(published)
            failpoint(Failpoint.RELAY_AFTER_CHECKPOINT)

    def _hand_over(self) -> None:
        """Release all shards at once, after storing every acknowledged event."""
        self._shards.leave_all()
        ends_at = self._clock.monotonic() + self._drain_s
        self._quarantine.finish(self._drain_s)
        self._replays.finish(self._shards.held, self._left_s(ends_at))
        self._publisher.drain(self._left_s(ends_at))
        self._take_acknowledgements()
        self._shards.retire()

    def _left_s(self, ends_at: float) -> float:
        return max(0.0, ends_at - self._clock.monotonic())


def longest_batch(in_flight_limit: int) -> int:
    """Return the largest batch: several fit into the limit in flight."""
    return max(1, min(LONGEST_BATCH, in_flight_limit // 4))
