"""Read windows: rows made visible between two snapshots, by shard, each in order of id."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence

from psycopg.types.numeric import Int8BinaryLoader

from services.outbox_relay.database import statements
from services.outbox_relay.database.connection import Connection
from services.outbox_relay.reading.row_stream import RowStream, array
from services.outbox_relay.records import MICROSECOND_S, SHARD, WINDOW_END, Row, batches_of
from services.outbox_relay.shards.shard import HeldShard
from shared.clock import Clock

ROWS_PER_CHUNK = 250
"""Enough to make the cost of a chunk small, and few enough to fit into memory however large they are."""

ROWS_PER_STREAM = 1_000_000
"""A stream ends here: a shard with a huge backlog must not keep the others waiting, nor the server's snapshot of
the stream grow old."""

CAUGHT_UP_ROWS = 5_000
"""A stream of fewer rows announces another small one: all shards are then looked up together."""


class WindowReader:
    """Stream outbox rows to their shards on a separate connection.

    Attributes
    ----------
    is_read_out:
        Whether the shards have everything that the last look found.
    """

    def __init__(self, connect: Callable[[], Connection], longest_batch: int, clock: Clock) -> None:
        self._connect = connect
        self._longest_batch = longest_batch
        self._clock = clock
        self._connection: Connection | None = None
        self._end = ""
        self._epoch_at = 0.0
        self._ahead: deque[HeldShard] = deque()
        self._is_of_news = False
        self._rows_read = 0
        self._begin_after = -1
        self._caught_up = False
        self.is_read_out = False

    def look(self, shards: Collection[HeldShard], *, is_notified: bool = False) -> bool:
        """Begin to read these shards up to now; False if nothing was committed since they were read.

        Parameters
        ----------
        is_notified:
            Something was committed: the rows are asked for at once, without a question before.
        """
        connection = self._open()
        if is_notified and self._are_together(shards):
            self._begin_news(shards)
            return True
        asked_at = self._clock.monotonic()
        self._end, now_us = connection.execute(statements.CURRENT_SNAPSHOT, binary=True).fetchone() or ("", 0)
        self._epoch_at = asked_at - now_us * MICROSECOND_S
        behind = [s for s in shards if s.read_to.snap != self._end]
        self.is_read_out = not behind
        if not behind:
            return False
        self._begin(self._in_turn(behind))
        return True

    def is_reading(self) -> bool:
        """Return True while more rows may follow."""
        return bool(self._ahead)

    def take(self, wait_s: float) -> int:
        """Give the next rows to their shards and count them; 0 if none came within `wait_s` seconds, or are left."""
        stream = self._news if self._is_of_news else self._windows
        rows = stream.take(wait_s)
        if rows and self._is_of_news:
            self._end = rows[0][WINDOW_END]
            rows = [row[:WINDOW_END] for row in rows]
        for batch in batches_of(rows, self._longest_batch):
            self._shard_of(batch).read(batch, self._end, self._epoch_at)
        self._rows_read += len(rows)
        if not stream.is_open:
            self._finish()
        return len(rows)

    def close(self) -> None:
        """Stop reading; rows already read stay, and the next read continues behind them."""
        self._ahead.clear()
        self.is_read_out = False
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> Connection:
        if self._connection is None:
            self._connection = self._connect()
            # A stream lasts as long as Kafka takes for its rows; the session gives it up when it takes too long.
            self._connection.execute("SET statement_timeout = 0")
            # Keep times as the numbers on the wire: their dates are not needed.
            self._connection.adapters.register_loader("timestamptz", Int8BinaryLoader)
            self._windows = RowStream(self._connection, statements.READ_WINDOWS, ROWS_PER_CHUNK)
            self._news = RowStream(self._connection, statements.READ_NEWS, ROWS_PER_CHUNK, "news")
        return self._connection

    def _in_turn(self, shards: Collection[HeldShard]) -> list[HeldShard]:
        """Return the shards, those unreached by the last stream first, the interrupted one last."""
        return sorted(shards, key=lambda s: (s.shard <= self._begin_after, s.shard))

    def _are_together(self, shards: Collection[HeldShard]) -> bool:
        """Return whether these shards, at least one, are between windows at the same place, and little is expected."""
        places = {shard.read_to for shard in shards}
        return self._caught_up and len(places) == 1 and places.pop().is_between_windows

    def _begin_news(self, shards: Collection[HeldShard]) -> None:
        ahead = self._in_turn(shards)
        self._news.start(_numbers(ahead), ahead[0].read_to.snap, str(ROWS_PER_STREAM))
        self._begun(ahead, is_of_news=True)

    def _begin(self, shards: Sequence[HeldShard]) -> None:
        groups = self._looked_up_together(shards)
        places = [group[0].read_to.into_window(self._end) for group in groups]
        self._windows.start(
            array([_numbers(group) for group in groups]),
            array([place.snap for place in places]),
            array([str(place.next_snap) for place in places]),
            array([place.position for place in places]),
            str(ROWS_PER_STREAM),
        )
        self._begun(shards, is_of_news=False)

    def _begun(self, shards: Sequence[HeldShard], *, is_of_news: bool) -> None:
        self._ahead = deque(shards)
        self._rows_read = 0
        self._is_of_news = is_of_news
        self.is_read_out = False

    def _looked_up_together(self, shards: Sequence[HeldShard]) -> list[Sequence[HeldShard]]:
        """Return all shards by number if few rows are expected: fewer look-ups, but one sort for all."""
        if self._caught_up and len({s.read_to for s in shards}) == 1:
            return [shards]
        return [[s] for s in shards]

    def _shard_of(self, batch: Sequence[Row]) -> HeldShard:
        """Return these rows' shard; mark the shards passed by the stream as read."""
        number = batch[0][SHARD]
        while self._ahead[0].shard != number:
            self._ahead.popleft().read_out(self._end)
        return self._ahead[0]

    def _finish(self) -> None:
        if self._is_of_news and not self._rows_read:
            self._ahead.clear()  # the end of the window stands in its rows: the next look asks for it
            return
        if self._rows_read == ROWS_PER_STREAM:
            self._begin_after, self._caught_up = self._ahead[0].shard, False
        else:
            self._begin_after, self._caught_up = -1, self._rows_read < CAUGHT_UP_ROWS
            self.is_read_out = True
            for shard in self._ahead:
                shard.read_out(self._end)
        self._ahead.clear()


def _numbers(shards: Sequence[HeldShard]) -> str:
    """Return the numbers of shards as an array literal."""
    return "{" + ",".join(str(each.shard) for each in shards) + "}"
