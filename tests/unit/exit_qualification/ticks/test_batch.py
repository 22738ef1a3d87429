from __future__ import annotations

from services.exit_qualification.storage.tick_checkpoints import Checkpoint
from services.exit_qualification.ticks.batch import read_batch
from services.exit_qualification.ticks.records import TickRecord
from tests.support.trades import opened
from tests.unit.exit_qualification.ticks.messages import HOME, INFY, LAYOUT, NOW_MS, tick, trade

ELSEWHERE = (HOME + 1) % LAYOUT.partitions
HELD = {HOME: Checkpoint(7, 10, 20)}


def test_checkpoints_stand_behind_the_last_record_of_each_topic() -> None:
    batch = read_batch([tick(offset_=10), tick(offset_=11), trade(opened(), offset_=20)], LAYOUT, HELD, NOW_MS)
    assert batch.checkpoints == {HOME: Checkpoint(7, 12, 21)}


def test_a_topic_without_records_keeps_its_offset() -> None:
    assert read_batch([tick(offset_=10)], LAYOUT, HELD, NOW_MS).checkpoints == {HOME: Checkpoint(7, 11, 20)}


def test_records_of_partitions_not_held_are_left_alone() -> None:
    batch = read_batch([tick(partition_=ELSEWHERE)], LAYOUT, HELD, NOW_MS)
    assert (batch.work, batch.misrouted, batch.checkpoints) == ([], [], {})


def test_a_tick_on_a_partition_not_its_symbols_is_misrouted_and_its_offset_moves() -> None:
    batch = read_batch([tick(partition_=ELSEWHERE, offset_=3)], LAYOUT, {ELSEWHERE: Checkpoint(1, 3, 0)}, NOW_MS)
    [misrouted] = batch.misrouted
    assert (misrouted.symbol, misrouted.home, batch.work) == (INFY, HOME, [])
    assert batch.checkpoints == {ELSEWHERE: Checkpoint(1, 4, 0)}


def test_a_trade_on_a_partition_not_its_symbols_is_taken_home() -> None:
    trade_ = opened()
    batch = read_batch([trade(trade_, partition_=ELSEWHERE)], LAYOUT, {ELSEWHERE: Checkpoint(1, 0, 0)}, NOW_MS)
    assert (batch.work, batch.refused) == ([(trade_, HOME)], [])


def test_a_trade_comes_before_the_ticks_made_after_it_and_behind_those_before() -> None:
    messages = [tick("1.00", made_ms=1), tick("2.00", made_ms=5), tick("3.00", made_ms=9), trade(opened(), made_ms=5)]
    order = [
        item.price if isinstance(item, TickRecord) else "trade"
        for item in read_batch(messages, LAYOUT, HELD, NOW_MS).work
    ]
    assert order == [1_0000, "trade", 2_0000, 3_0000]


def test_ticks_keep_the_order_of_their_partition_whatever_their_producers_clocks_say() -> None:
    messages = [tick("1.00", made_ms=9), tick("2.00", made_ms=1), trade(opened(), made_ms=3)]
    work = read_batch(messages, LAYOUT, HELD, NOW_MS).work
    assert [item.price for item in work if isinstance(item, TickRecord)] == [1_0000, 2_0000]


def test_a_tick_from_the_future_is_refused_and_one_of_the_past_is_not() -> None:
    batch = read_batch([tick()], LAYOUT, HELD, now_ms=0)
    assert batch.work == []
    assert "ahead of the clock" in batch.refused[0].reason
    assert len(read_batch([tick()], LAYOUT, HELD, NOW_MS * 2).work) == 1
