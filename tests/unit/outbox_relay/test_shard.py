"""How far a shard is read, published and on record, and its state after being given up."""

from __future__ import annotations

import pytest

from services.outbox_relay.records import Row
from services.outbox_relay.shards.acknowledgements import Run
from services.outbox_relay.shards.progress import Progress
from services.outbox_relay.shards.shard import Batch, HeldShard

BEGINNING, END, LATER = "10:10:", "20:20:", "30:30:"


def held() -> HeldShard:
    """A shard between windows."""
    return HeldShard(3, 1, Progress(BEGINNING))


def rows(*ids: int) -> list[Row]:
    """Rows of shard 3."""
    return [(3, row_id) for row_id in ids]


def send(shard: HeldShard, events: int | None = None) -> Run:
    """The first batch of the unsent rows, or the first rows of it, are handed over."""
    batch = shard.unsent[0]
    count = len(batch.rows) if events is None else events
    run = Run(lambda *_: None, batch.reaches, 0)
    run.consists_of(count, batch.reaches if count == len(batch.rows) else batch.reaches.up_to(batch.rows[count - 1][1]))
    shard.sent(run)
    return run


def acknowledge(shard: HeldShard, *runs: Run) -> Progress:
    """Kafka has all of these runs; how far the shard is published then."""
    for run in runs:
        run.left = 0
    shard.advance()
    return shard.progress


def test_window_is_published_only_when_read_sent_and_acknowledged() -> None:
    shard = held()
    shard.read(rows(4, 5), END, 0)
    shard.read(rows(6), END, 0)
    first, second = send(shard), send(shard)
    shard.read_out(END)
    end = send(shard)
    assert acknowledge(shard, end) == Progress(BEGINNING)
    assert acknowledge(shard, first) == Progress(BEGINNING, END, 5)
    assert acknowledge(shard, second) == Progress(END)


def test_next_window_is_read_while_previous_is_in_flight() -> None:
    shard = held()
    shard.read(rows(7), END, 0)
    shard.read_out(END)
    first, end = send(shard), send(shard)
    shard.read(rows(5), LATER, 0)
    second = send(shard)
    assert acknowledge(shard, second) == Progress(BEGINNING)
    assert acknowledge(shard, first, end) == Progress(END, LATER, 5)


def test_a_window_without_rows_is_passed_in_memory_alone() -> None:
    shard = held()
    shard.read_out(END)
    assert shard.progress == shard.read_to == Progress(END)
    assert not shard.is_worth_recording()
    assert shard.recorded == Progress(BEGINNING)


@pytest.mark.parametrize("is_sent", [False, True])
def test_empty_windows_wait_for_previous_and_do_not_pile_up(is_sent: bool) -> None:
    shard = held()
    shard.read(rows(4), END, 0.0)
    shard.read_out(END)
    runs = [send(shard), send(shard)] if is_sent else []
    for number in range(30, 100):
        shard.read_out(f"{number}:{number}:")
    assert shard.progress == Progress(BEGINNING)
    assert shard.read_to == Progress("99:99:")
    runs += [send(shard) for _ in range(len(shard.unsent))]
    assert len(runs) == 2
    assert acknowledge(shard, *runs) == Progress("99:99:")


def test_a_shard_that_is_left_reads_no_window_out() -> None:
    shard = held()
    shard.leave()
    shard.read_out(END)
    assert shard.progress == shard.read_to == Progress(BEGINNING)


def test_acknowledged_runs_and_ended_windows_are_worth_recording() -> None:
    shard = held()
    shard.read(rows(4), END, 0)
    acknowledge(shard, send(shard))
    assert shard.is_worth_recording()
    shard.is_recorded(shard.progress)
    assert not shard.is_worth_recording()
    shard.read_out(END)
    acknowledge(shard, send(shard))
    assert shard.is_worth_recording()


def test_what_the_producer_did_not_take_stays_to_be_sent() -> None:
    shard = held()
    shard.read(rows(4, 5, 6), END, 0)
    assert send(shard, 1).reaches == Progress(BEGINNING, END, 4)
    assert [batch.rows for batch in shard.unsent] == [rows(5, 6)]


def test_abandoned_shard_is_published_as_far_as_sent() -> None:
    shard = held()
    shard.read(rows(4), END, 0)
    shard.read(rows(5), END, 0)
    run = send(shard)
    shard.leave()
    shard.read(rows(6), END, 0)
    shard.read_out(END)
    assert not shard.unsent
    assert not shard.may_go()
    assert acknowledge(shard, run) == Progress(BEGINNING, END, 4)
    assert shard.may_go()


def test_a_shard_taken_over_goes_on_where_its_window_stood() -> None:
    shard = HeldShard(3, 2, Progress(BEGINNING, END, 17))
    shard.read(rows(18), LATER, 0)
    assert shard.read_to == Progress(BEGINNING, END, 18)
    shard.read_out(LATER)
    assert shard.read_to == Progress(END)


def test_a_batch_knows_when_its_first_row_was_written() -> None:
    written_us = [(3, n, "topic", "key", b"", "id", "1", *["x"] * 6, 2_000_000 * n) for n in (1, 2)]
    assert Batch(written_us, Progress(BEGINNING), epoch_at=100).written_at == pytest.approx(102)
    assert Batch(written_us[1:], Progress(BEGINNING), epoch_at=100).written_at == pytest.approx(104)
