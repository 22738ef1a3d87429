"""When a shard's window counts as published, and what becomes of it when the shard is given up."""

from __future__ import annotations

from services.outbox_relay.acknowledgements import Run
from services.outbox_relay.records import Row
from services.outbox_relay.shard import HeldShard


def frozen() -> HeldShard:
    """A shard whose window was opened."""
    shard = HeldShard(3, 1, "10:10:", None, 0)
    shard.froze("20:20:")
    return shard


def rows(*ids: int) -> list[Row]:
    """Rows of shard 3."""
    return [(3, row_id) for row_id in ids]


def sent(shard: HeldShard, events: int, last_id: int) -> Run:
    """The first rows of what is unsent were handed over."""
    run = Run(lambda _: None, 0, 0)
    run.consists_of(events, last_id)
    shard.sent(run, events)
    return run


def test_a_window_is_published_only_when_all_of_it_is_read_sent_and_acknowledged() -> None:
    shard = frozen()
    shard.read(rows(4, 5, 6))
    assert not shard.is_published()
    shard.read_out = True
    assert not shard.is_published()
    first = sent(shard, 2, 5)
    second = sent(shard, 1, 6)
    first.left = 0
    shard.acknowledgements.advance()
    assert shard.acknowledgements.position == 5
    assert not shard.is_published()
    second.left = 0
    shard.acknowledgements.advance()
    assert shard.is_published()


def test_what_the_producer_did_not_take_stays_to_be_sent() -> None:
    shard = frozen()
    shard.read(rows(4, 5, 6))
    sent(shard, 1, 4)
    assert list(shard.unsent) == [rows(5, 6)]


def test_a_window_cut_short_is_not_published_by_what_was_sent_of_it() -> None:
    shard = frozen()
    shard.read(rows(4))
    shard.read(rows(5))
    shard.read_out = True
    run = sent(shard, 1, 4)
    shard.leave()
    assert not shard.may_go()
    run.left = 0
    shard.acknowledgements.advance()
    assert shard.may_go()
    assert not shard.is_published()
    assert shard.acknowledgements.position == 4


def test_a_shard_taken_over_goes_on_where_its_window_stood() -> None:
    shard = HeldShard(3, 2, "10:10:", "20:20:", 17)
    assert shard.is_readable()
    assert shard.read_to == shard.acknowledgements.position == 17
    assert not shard.has_progress()
