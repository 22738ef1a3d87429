from __future__ import annotations

from confluent_kafka import TIMESTAMP_CREATE_TIME, Message

from services.exit_qualification.domain.checkpoint import Checkpoint
from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.domain.symbol_book import SymbolState
from services.exit_qualification.ticks.batch import offsets_after
from shared.instants import epoch_ms
from tests.support.trades import opened
from tests.unit.exit_qualification.ticks.messages import HOME, INFY, LAYOUT, NOW_MS, evaluated, grouped, tick, trade

ELSEWHERE = (HOME + 1) % LAYOUT.partitions
REACHED = {HOME: Checkpoint(7, 10, 20)}


def last_tick(*messages: Message) -> SymbolState:
    """The state of the symbol after a batch."""
    engine = ExitSignalService()
    result = evaluated(engine, *messages)
    assert result.refused == []
    state = engine.books.state(INFY)
    assert state is not None
    return state


def test_offsets_stand_behind_the_last_record_of_each_topic() -> None:
    records = grouped([tick(offset_=10), tick(offset_=11), trade(opened(), offset_=20)])
    assert offsets_after(records, LAYOUT, REACHED) == {HOME: Checkpoint(7, 12, 21)}


def test_a_topic_without_records_keeps_its_offset() -> None:
    assert offsets_after(grouped([tick(offset_=10)]), LAYOUT, REACHED) == {HOME: Checkpoint(7, 11, 20)}


def test_records_of_partitions_not_held_are_left_alone() -> None:
    engine = ExitSignalService()
    result = evaluated(engine, tick(partition_=ELSEWHERE))
    assert (result.evaluated, result.misrouted, engine.books.state(INFY)) == (0, [], None)


def test_a_tick_off_its_partition_is_misrouted_and_passed() -> None:
    engine = ExitSignalService()
    for held in ([ELSEWHERE], [ELSEWHERE, HOME]):
        result = evaluated(engine, tick(partition_=ELSEWHERE, offset_=3), held=held)
        [misrouted] = result.misrouted
        assert (misrouted.symbol, misrouted.home, result.evaluated) == (INFY, HOME, 0)
    assert engine.books.state(INFY) is None


def test_a_trade_off_its_partition_is_taken_home() -> None:
    event = opened()
    record = trade(event, partition_=ELSEWHERE, arrived_ms=epoch_ms(event.entered_at) + 1)
    result = evaluated(ExitSignalService(), record, held=[ELSEWHERE])
    assert [(each.event, each.partition) for each in result.opened] == [(event, HOME)]
    assert (result.homes, result.urgent_symbols, result.refused) == ({HOME}, {INFY}, [])


def test_trades_are_ordered_among_ticks_by_arrival() -> None:
    ticks = [tick("1.00", arrived_ms=1), tick("2.00", arrived_ms=5), tick("3.00", arrived_ms=9)]
    [trade_] = evaluated(ExitSignalService(), *ticks, trade(opened(), arrived_ms=5)).opened
    assert trade_.entered_tick == 1


def test_ticks_keep_their_partition_order_despite_arrival_clocks() -> None:
    state = last_tick(tick("1.00", arrived_ms=9), tick("2.00", arrived_ms=1), trade(opened(), arrived_ms=3))
    assert (state.last_price, state.ticks) == (20_000, 2)


def test_a_producers_stamp_on_the_record_orders_nothing() -> None:
    for ahead_ms in (-5000, 5000):
        stamped = tick(arrived_ms=NOW_MS + ahead_ms, kind=TIMESTAMP_CREATE_TIME)
        assert last_tick(stamped).last_arrived_ms == NOW_MS


def test_arrival_comes_from_the_log_not_the_worker_clock() -> None:
    for arrived_ms in (NOW_MS - 9, NOW_MS + 9):
        assert last_tick(tick(arrived_ms=arrived_ms)).last_arrived_ms == arrived_ms


def test_arrival_of_its_record_limits_the_entry_time() -> None:
    event = opened()
    entered_ms = epoch_ms(event.entered_at)
    for arrived_ms, expected in [(entered_ms - 5000, entered_ms - 5000), (entered_ms + 5000, entered_ms)]:
        [read] = evaluated(ExitSignalService(), trade(event, arrived_ms=arrived_ms)).opened
        assert epoch_ms(read.event.entered_at) == expected


def test_only_exits_trades_and_refusals_are_urgent() -> None:
    engine = ExitSignalService()
    quiet = evaluated(engine, tick(), tick(seq=2, partition_=ELSEWHERE), held=[HOME, ELSEWHERE])
    traded, refused = evaluated(engine, trade(opened())), evaluated(engine, tick("0"))
    assert [each.urgent for each in (quiet, traded, refused)] == [set(), set(), {HOME}]
    assert [each.urgent_symbols for each in (quiet, traded, refused)] == [set(), {INFY}, set()]
