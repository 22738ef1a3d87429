"""A producer's stamps order its own ticks; arrival in the log orders everything else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from services.exit_qualification.ticks.metrics import NEW_CLOCKS
from shared.clock import SystemClock, rfc3339
from shared.kafka.clients import open_admin
from shared.settings import Settings
from tests.integration.exit_qualification.ticks.worker_harness import Book, Market, running_worker
from tests.support.trades import opened
from tests.support.waiting import LIMIT_S

pytestmark = pytest.mark.apache  # Tansu keeps the stamps of producers

AHEAD = timedelta(seconds=50)


def _stamp(shift: timedelta = timedelta()) -> str:
    return rfc3339(SystemClock().now() + shift)


def test_records_of_our_topics_bear_the_time_of_their_arrival(settings: Settings, market: Market) -> None:
    market.tick("1000.00")
    [record] = market.records(market.ticks)
    kind, _ = record.timestamp()
    assert kind == 2  # LogAppendTime


def test_a_tick_stamped_ahead_does_not_hide_later_ticks(settings: Settings, market: Market, book: Book) -> None:
    market.open(opened())
    with running_worker(settings):
        book.await_trades(1)
        market.tick("1000.00", ts=_stamp(AHEAD))
        book.await_tick(market.partition(), 1)
        market.tick("985.00", ts=_stamp())
        book.await_exits(1)
    assert book.value("SELECT last_ts <= updated_at FROM tick_symbols")


def test_a_producer_whose_clock_is_set_back_is_followed(settings: Settings, market: Market, book: Book) -> None:
    market.open(opened())
    followed = NEW_CLOCKS._value.get()
    quick = settings.model_copy(update={"tick_new_clock_after_s": 0.2})
    with running_worker(quick):
        book.await_trades(1)
        market.tick("1000.00", ts=_stamp())
        while not book.signals():
            market.tick("985.00", ts=_stamp(-timedelta(seconds=30)))
    [signal] = book.signals()
    assert signal.exit_reason == "STOP_LOSS"
    assert NEW_CLOCKS._value.get() == followed + 1


def test_a_future_checkpoint_is_healed_when_claimed(settings: Settings, market: Market, book: Book) -> None:
    market.open(opened())
    with running_worker(settings):
        book.await_trades(1)
        market.tick("1000.00", ts=_stamp())
        book.await_tick(market.partition(), 1)
    tomorrow = "last_ts = last_ts + interval '1 day', last_arrived_at = last_arrived_at + interval '1 day'"
    book.execute(f"UPDATE tick_symbols SET {tomorrow}")
    with running_worker(settings):
        market.tick("985.00", ts=_stamp(), seq=0)
        book.await_exits(1)


@pytest.mark.parametrize("clock", [-timedelta(seconds=5), timedelta(seconds=5)])
def test_a_price_before_the_entry_exits_no_trade(
    settings: Settings, market: Market, book: Book, clock: timedelta
) -> None:
    with running_worker(settings):
        market.tick("985.00", ts=_stamp(clock))
        book.await_tick(market.partition(), 1)
        market.open(opened(entered_at=SystemClock().now()))
        book.await_trades(1)
        market.tick("1000.00", ts=_stamp(clock))
        book.await_tick(market.partition(), 2)
    assert book.signals() == []


@pytest.mark.parametrize("clock", [-timedelta(seconds=5), timedelta(seconds=5)])
def test_a_price_after_the_entry_exits_a_late_trade_event(
    settings: Settings, market: Market, book: Book, clock: timedelta
) -> None:
    entered: dict[str, Any] = {"entered_at": SystemClock().now()}
    with running_worker(settings):
        market.tick("985.00", ts=_stamp(clock))
        book.await_tick(market.partition(), 1)
        market.open(opened(**entered))
        book.await_exits(1)


def test_with_producer_timestamps_the_worker_arrival_counts(settings: Settings, market: Market, book: Book) -> None:
    _keep_producers_stamps(settings, market.ticks)
    market.open(opened())
    with running_worker(settings):
        book.await_trades(1)
        market.tick("1000.00", ts=_stamp(AHEAD))
        book.await_tick(market.partition(), 1)
        market.tick("985.00", ts=_stamp())
        book.await_exits(1)
    assert book.value("SELECT last_arrived_at BETWEEN updated_at - interval '30 s' AND updated_at FROM tick_symbols")


def _keep_producers_stamps(settings: Settings, topic: str) -> None:
    entry = ConfigEntry("message.timestamp.type", "CreateTime", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = open_admin(settings)
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(timeout=LIMIT_S)
