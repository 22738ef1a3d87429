"""A shard's published progress: the last event acknowledged together with all before it.

A shard's acknowledgements arrive in any order, because its keys are on many partitions. They are counted by runs:
consecutive events of one shard, acknowledged once all of them are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from confluent_kafka import KafkaError, Message

from services.outbox_relay.records import Row
from services.outbox_relay.shards.progress import Progress

OnFailure = Callable[[KafkaError, Message], None]
OnReport = Callable[[KafkaError | None, Message], None]


class Run:
    """Consecutive events of one shard, and how many of them Kafka has not acknowledged yet.

    Attributes
    ----------
    reaches:
        Where the shard is once all of them are acknowledged, and all before.
    events:
        How many there are; a run of none marks the end of a window.
    left:
        How many of them are not acknowledged.
    written_at:
        When the first of them was written, on the monotonic clock, in seconds.
    rows:
        The events themselves, kept for their spans; empty while no spans are made.
    """

    __slots__ = ("_on_failure", "events", "left", "reaches", "rows", "written_at")

    def __init__(self, on_failure: OnFailure, reaches: Progress, written_at: float) -> None:
        self.reaches = reaches
        self.events = self.left = 0
        self.written_at = written_at
        self.rows: Sequence[Row] = ()
        self._on_failure = on_failure

    def consists_of(self, events: int, reaches: Progress) -> None:
        """Set the event count and end position; call before any delivery report can arrive."""
        self.events = self.left = events
        self.reaches = reaches

    def reported(self, error: KafkaError | None, message: Message) -> None:
        """Count one event's delivery report; a success without an offset counts as failure.

        librdkafka then only infers the delivery.
        """
        if error is None and message.offset() is not None:
            self.left -= 1
        else:
            self._on_failure(error or KafkaError(KafkaError._FAIL, "acknowledged without an offset"), message)


class Acknowledgements:
    """One shard's runs in order, and the progress up to the last of the fully acknowledged ones."""

    __slots__ = ("_runs", "progress")

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self._runs: deque[Run] = deque()

    def expect(self, run: Run) -> None:
        """Add a sent run after all expected ones."""
        self._runs.append(run)

    def extend(self, progress: Progress) -> None:
        """Extend the last run to `progress`; no rows lie between."""
        if self._runs:
            self._runs[-1].reaches = progress
        else:
            self.progress = progress

    @property
    def head(self) -> Run | None:
        """Return the first unacknowledged run."""
        return self._runs[0] if self._runs else None

    def last_id(self) -> int:
        """Return the highest id in flight; 0 if none."""
        return max((run.reaches.position for run in self._runs), default=0)

    def advance(self) -> list[Run]:
        """Move `progress` over the acknowledged prefix and return the runs it passed."""
        runs, passed = self._runs, []
        while runs and runs[0].left == 0:
            run = runs.popleft()
            self.progress = run.reaches
            passed.append(run)
        return passed

    def awaited(self) -> int:
        """Return the number of sent, unacknowledged events; rows to be parked do not count."""
        return sum(run.left for run in self._runs if run.events)

    def awaits_any(self) -> bool:
        """Return True while events are in flight."""
        return bool(self._runs)
