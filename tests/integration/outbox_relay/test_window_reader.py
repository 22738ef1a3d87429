"""The reader of windows: whatever kind of look follows another, its shards get each row once and in order."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
from sqlalchemy import text

from services.outbox_relay.database.connection import connect
from services.outbox_relay.reading import windows
from services.outbox_relay.reading.windows import WindowReader
from services.outbox_relay.records import ID
from services.outbox_relay.shards.progress import Progress
from services.outbox_relay.shards.shard import HeldShard
from shared.clock import SystemClock
from shared.settings import Settings
from tests.integration.outbox_relay.outbox_writer import Writer

SHARDS = 64
LONGEST_BATCH = 7
LAST_LOOKS = 100


@pytest.fixture
def reader(exit_relay: Settings) -> Iterator[WindowReader]:
    """A reader as a relay has it."""
    url = exit_relay.require_exit_database()
    with closing(WindowReader(lambda: connect(url, "exit_qualification"), LONGEST_BATCH, SystemClock())) as opened:
        yield opened


def held_shards(writer: Writer) -> list[HeldShard]:
    """All shards, from their stored places."""
    with writer.engine.connect() as connection:
        rows = connection.execute(text("SELECT shard, snap::text FROM outbox_shard ORDER BY shard")).all()
    return [HeldShard(shard, 1, Progress(snap)) for shard, snap in rows]


def read_to_the_end(reader: WindowReader, shards: list[HeldShard], *, is_notified: bool) -> None:
    """One look, and all rows of its stream."""
    if reader.look(shards, is_notified=is_notified):
        while reader.is_reading():
            reader.take(0.1)


def taken(shards: list[HeldShard]) -> dict[int, list[int]]:
    """The ids of the rows given to each shard."""
    return {each.shard: [row[ID] for batch in each.unsent for row in batch.rows] for each in shards}


def stored(writer: Writer) -> dict[int, set[int]]:
    """The ids of all committed rows of each shard."""
    found: dict[int, set[int]] = {shard: set() for shard in range(SHARDS)}
    with writer.engine.connect() as connection:
        for shard, number in connection.execute(text("SELECT shard, id FROM outbox_event")):
            found[shard].add(number)
    return found


@pytest.mark.parametrize("seed", range(8))
def test_looks_of_any_kind_lose_and_repeat_nothing(
    writer: Writer, reader: WindowReader, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    dice = random.Random(seed)
    monkeypatch.setattr(windows, "CAUGHT_UP_ROWS", dice.choice([1, 30, 5000]))
    monkeypatch.setattr(windows, "ROWS_PER_STREAM", dice.choice([5, 40, 1_000_000]))
    shards, keys = held_shards(writer), iter(range(1_000_000))
    for _ in range(25):
        with ExitStack() as at_work:
            for _ in range(dice.randrange(3)):
                of_long = [f"key-{next(keys)}" for _ in range(dice.randrange(1, 5))]
                at_work.enter_context(writer.long_transaction(*of_long))
            if dice.random() < 0.7:
                writer.write(*[f"key-{next(keys)}" for _ in range(dice.randrange(1, 60))])
            some = shards if dice.random() < 0.7 else dice.sample(shards, dice.randrange(1, SHARDS))
            read_to_the_end(reader, some, is_notified=dice.random() < 0.6)
    for _ in range(LAST_LOOKS):
        read_to_the_end(reader, shards, is_notified=dice.random() < 0.5)
    given = taken(shards)
    assert {shard: set(ids) for shard, ids in given.items()} == stored(writer)
    assert all(len(ids) == len(set(ids)) for ids in given.values())


def test_news_without_rows_leave_the_place_to_the_next_look(writer: Writer, reader: WindowReader) -> None:
    shards = held_shards(writer)
    writer.write("a")
    read_to_the_end(reader, shards, is_notified=False)
    place = shards[0].read_to
    read_to_the_end(reader, shards, is_notified=True)
    assert shards[0].read_to == place
    assert not reader.is_read_out
    writer.write("b")
    read_to_the_end(reader, shards, is_notified=True)
    assert sum(map(len, taken(shards).values())) == 2
    assert reader.is_read_out
