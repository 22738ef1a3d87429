"""A shard in the hands of this relay."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from services.outbox_relay.records import ID, MICROSECOND_S, WRITTEN_US, Row
from services.outbox_relay.shards.acknowledgements import Acknowledgements, Run
from services.outbox_relay.shards.progress import Progress


class Batch(NamedTuple):
    """Consecutive rows and where the shard is once they are published; no rows at a window's end.

    Attributes
    ----------
    epoch_at:
        PostgreSQL's epoch on the monotonic clock, in seconds.
    """

    rows: Sequence[Row]
    reaches: Progress
    epoch_at: float = 0.0

    @property
    def written_at(self) -> float:
        """Return the first row's write time on the monotonic clock, in seconds."""
        return self.epoch_at + self.rows[0][WRITTEN_US] * MICROSECOND_S if self.rows else 0.0


@dataclass(slots=True, eq=False)
class HeldShard:
    """In-memory state of a held shard. Lost with the process; the database keeps the progress.

    A row is read, sent and acknowledged, in this order, tracked by `read_to`, `acknowledgements.progress` and
    `recorded`. After a crash the rows between the last two repeat.

    Attributes
    ----------
    epoch:
        Fences every write: another owner has a higher one.
    recorded:
        The database's knowledge of it.
    read_to:
        How far the outbox was read.
    unsent:
        Rows read and not handed to the producer yet.
    unrecorded:
        Events acknowledged since `recorded`.
    leaving:
        True if it is to be given up as soon as nothing of it is in flight.
    """

    shard: int
    epoch: int
    recorded: Progress
    read_to: Progress = field(init=False)
    acknowledgements: Acknowledgements = field(init=False)
    unsent: deque[Batch] = field(default_factory=deque)
    unrecorded: int = 0
    leaving: bool = False

    def __post_init__(self) -> None:
        self.read_to = self.recorded
        self.acknowledgements = Acknowledgements(self.recorded)

    @property
    def progress(self) -> Progress:
        """Return the published progress."""
        return self.acknowledgements.progress

    def read(self, rows: Sequence[Row], next_snap: str, epoch_at: float) -> None:
        """Add the next rows of the window ending at `next_snap`; ignored if the shard is to be released."""
        place = self.read_to.into_window(next_snap)
        assert rows[0][ID] > place.position, "the rows of a window are read in order of id"
        self._read_up_to(Batch(rows, place.up_to(rows[-1][ID]), epoch_at))

    def read_out(self, next_snap: str) -> None:
        """Note the end of the window ending at `next_snap`."""
        end = self.read_to.into_window(next_snap).past_window()
        if self.read_to.is_between_windows:
            self._pass_empty_window(end)
        else:
            self._read_up_to(Batch((), end))

    def _pass_empty_window(self, end: Progress) -> None:
        """Extend the previous window over an empty one: empty ones do not pile up during a Kafka outage.

        With nothing in flight, only memory changes until the next renewal.
        """
        if self.leaving:
            return
        if self.unsent:
            self.unsent[-1] = Batch((), end)
        else:
            self.acknowledgements.extend(end)
        self.read_to = end

    def _read_up_to(self, batch: Batch) -> None:
        if not self.leaving:
            self.read_to = batch.reaches
            self.unsent.append(batch)

    def sent(self, run: Run) -> None:
        """Note the first rows of the next batch as on their way, as many as `run` has."""
        batch = self.unsent.popleft()
        if run.events < len(batch.rows):
            self.unsent.appendleft(batch._replace(rows=batch.rows[run.events :]))
        self.acknowledgements.expect(run)

    def cut(self, rows: int) -> None:
        """Split the first rows of the next batch into a separate one."""
        batch = self.unsent[0]
        if rows < len(batch.rows):
            self.unsent[0] = batch._replace(rows=batch.rows[rows:])
            reaches = batch.reaches.up_to(batch.rows[rows - 1][ID])
            self.unsent.appendleft(batch._replace(rows=batch.rows[:rows], reaches=reaches))

    def quarantined(self, run: Run) -> None:
        """Record the next batch's rows as handled by quarantine, as `run`."""
        self.unsent.popleft()
        self.acknowledgements.expect(run)

    def advance(self) -> list[Run]:
        """Apply acknowledgements and return the completed runs."""
        passed = self.acknowledgements.advance()
        for run in passed:
            self.unrecorded += run.events
        return passed

    def is_worth_recording(self) -> bool:
        """Return True if unrecorded events are acknowledged; an empty window alone does not count."""
        return self.unrecorded > 0 or not (self.recorded.is_between_windows or self.progress == self.recorded)

    def is_recorded(self, progress: Progress) -> None:
        """Note the progress stored in the database."""
        self.recorded = progress
        self.unrecorded = 0

    def leave(self) -> None:
        """Read and send no more of it; it is to be given up."""
        self.leaving = True
        self.unsent.clear()

    def may_go(self) -> bool:
        """Return True if releasing the shard loses track of nothing in flight."""
        return self.leaving and not self.acknowledgements.awaits_any()
