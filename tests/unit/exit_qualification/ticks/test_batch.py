from __future__ import annotations

from confluent_kafka import TIMESTAMP_CREATE_TIME, Message

from services.exit_qualification.domain.checkpoint import Checkpoint
from services.exit_qualification.ticks.batch import read_batch
from services.exit_qualification.ticks.records import TickRecord
from shared.clock import epoch_ms
from shared.contracts.trades import TradeOpened
from tests.support.signing import TRUSTED
from tests.support.trades import opened
from tests.unit.exit_qualification.ticks.messages import HOME, INFY, LAYOUT, NOW_MS, tick, trade

ELSEWHERE = (HOME + 1) % LAYOUT.partitions
HELD = {HOME: Checkpoint(7, 10, 20)}


def test_checkpoints_stand_behind_the_last_record_of_each_topic() -> None:
    batch = read_batch([tick(offset_=10), tick(offset_=11), trade(opened(), offset_=20)], LAYOUT, HELD, NOW_MS, TRUSTED)
    assert batch.checkpoints == {HOME: Checkpoint(7, 12, 21)}


def test_a_topic_without_records_keeps_its_offset() -> None:
    assert read_batch([tick(offset_=10)], LAYOUT, HELD, NOW_MS, TRUSTED).checkpoints == {HOME: Checkpoint(7, 11, 20)}


def test_records_of_partitions_not_held_are_left_alone() -> None:
    batch = read_batch([tick(partition_=ELSEWHERE)], LAYOUT, HELD, NOW_MS, TRUSTED)
    assert (batch.work, batch.misrouted, batch.checkpoints) == ([], [], {})


def test_a_tick_off_its_partition_is_misrouted_and_passed() -> None:
    batch = read_batch(
        [tick(partition_=ELSEWHERE, offset_=3)], LAYOUT, {ELSEWHERE: Checkpoint(1, 3, 0)}, NOW_MS, TRUSTED
    )
    [misrouted] = batch.misrouted
    assert (misrouted.symbol, misrouted.home, batch.work) == (INFY, HOME, [])
    assert batch.checkpoints == {ELSEWHERE: Checkpoint(1, 4, 0)}


def test_a_trade_off_its_partition_is_taken_home() -> None:
    trade_ = opened()
    entered_ms = epoch_ms(trade_.entered_at) + 1
    record = trade(trade_, partition_=ELSEWHERE, arrived_ms=entered_ms)
    batch = read_batch([record], LAYOUT, {ELSEWHERE: Checkpoint(1, 0, 0)}, NOW_MS, TRUSTED)
    assert (batch.work, batch.refused) == ([(trade_, HOME)], [])


def _order(messages: list[Message]) -> list[object]:
    return [
        item.price // 10_000 if isinstance(item, TickRecord) else "trade"
        for item in read_batch(messages, LAYOUT, HELD, NOW_MS, TRUSTED).work
    ]


def test_trades_are_ordered_among_ticks_by_arrival() -> None:
    ticks = [tick("1.00", arrived_ms=1), tick("2.00", arrived_ms=5), tick("3.00", arrived_ms=9)]
    assert _order([*ticks, trade(opened(), arrived_ms=5)]) == [1, "trade", 2, 3]


def test_ticks_keep_their_partition_order_despite_arrival_clocks() -> None:
    messages = [tick("1.00", arrived_ms=9), tick("2.00", arrived_ms=1), trade(opened(), arrived_ms=3)]
    assert [item for item in _order(messages) if item != "trade"] == [1, 2]


def test_a_producers_stamp_on_the_record_orders_nothing() -> None:
    for ahead_ms in (-5000, 5000):
        [read] = read_batch(
            [tick(arrived_ms=NOW_MS + ahead_ms, kind=TIMESTAMP_CREATE_TIME)], LAYOUT, HELD, NOW_MS, TRUSTED
        ).work
        assert isinstance(read, TickRecord)
        assert read.arrived_ms == NOW_MS


def test_arrival_comes_from_the_log_not_the_worker_clock() -> None:
    for now_ms in (0, NOW_MS * 2):
        batch = read_batch([tick(arrived_ms=NOW_MS)], LAYOUT, HELD, now_ms, TRUSTED)
        assert [(each.arrived_ms, each.price) for each in batch.work if isinstance(each, TickRecord)] == [
            (NOW_MS, 1000_0000)
        ]
        assert batch.refused == []


def test_arrival_of_its_record_limits_the_entry_time() -> None:
    event = opened()
    entered_ms = epoch_ms(event.entered_at)
    for arrived_ms, expected in [(entered_ms - 5000, entered_ms - 5000), (entered_ms + 5000, entered_ms)]:
        [(read, _)] = read_batch([trade(event, arrived_ms=arrived_ms)], LAYOUT, HELD, NOW_MS, TRUSTED).work  # type: ignore[misc]  # a trade
        assert isinstance(read, TradeOpened)
        assert epoch_ms(read.entered_at) == expected
