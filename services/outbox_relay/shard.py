"""A shard in the hands of this relay."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.outbox_relay.acknowledgements import Acknowledgements, Run
from services.outbox_relay.records import ID, Row


@dataclass(slots=True, eq=False)
class HeldShard:
    """What this relay knows of a shard it holds. Lost with the process; the database keeps what counts.

    Attributes
    ----------
    epoch:
        Fences every write: another owner has a higher one.
    snap:
        All that this snapshot sees is published. In memory it may be ahead of the database.
    next_snap:
        The frozen end of the window at work; None between windows.
    checkpoint:
        The position that the database knows.
    read_to:
        The last id of the window that was read.
    read_out:
        True once the whole window was read.
    unsent:
        Runs of rows that were read and not handed to the producer yet.
    leaving:
        True if it is to be given up as soon as nothing of it is in flight.
    """

    shard: int
    epoch: int
    snap: str
    next_snap: str | None
    checkpoint: int
    read_to: int = 0
    read_out: bool = False
    leaving: bool = False
    unsent: deque[Sequence[Row]] = field(default_factory=deque)
    acknowledgements: Acknowledgements = field(init=False)

    def __post_init__(self) -> None:
        self._start_at(self.checkpoint)

    def _start_at(self, position: int) -> None:
        self.checkpoint = self.read_to = position
        self.read_out = False
        self.acknowledgements = Acknowledgements(position)

    def froze(self, next_snap: str) -> None:
        """A window ending at `next_snap` was opened."""
        self.next_snap = next_snap
        self._start_at(0)

    def completed(self) -> None:
        """The window was published and that is on record."""
        assert self.next_snap is not None
        self.snap, self.next_snap = self.next_snap, None
        self._start_at(0)

    def read(self, rows: Sequence[Row]) -> None:
        """These are the next rows of the window, to be sent as one run."""
        assert rows[0][ID] > self.read_to, "the rows of a window are read in order of id"
        self.read_to = rows[-1][ID]
        self.unsent.append(rows)

    def sent(self, run: Run, events: int) -> None:
        """The first `events` rows of what was unsent are on their way as `run`."""
        rest = self.unsent.popleft()[events:]
        if rest:
            self.unsent.appendleft(rest)
        self.acknowledgements.expect(run)

    def leave(self) -> None:
        """Send no more of it; it is to be given up."""
        self.leaving = True
        self.cut_short()

    def cut_short(self) -> None:
        """Drop what was read and not sent; what was sent may still complete the window if that was all of it."""
        if self.unsent:
            self.unsent.clear()
            self.read_out = False

    def is_idle(self) -> bool:
        """True between windows."""
        return self.next_snap is None

    def is_readable(self) -> bool:
        """True while rows of its window may still have to be read."""
        return self.next_snap is not None and not self.read_out and not self.leaving

    def is_published(self) -> bool:
        """True once its whole window is read, sent and acknowledged."""
        return self.read_out and not self.unsent and not self.acknowledgements.awaits_any()

    def has_progress(self) -> bool:
        """True if more is acknowledged than the database knows."""
        return self.acknowledgements.position > self.checkpoint

    def may_go(self) -> bool:
        """True if it can be released without losing sight of anything in flight."""
        return self.leaving and not self.acknowledgements.awaits_any()
