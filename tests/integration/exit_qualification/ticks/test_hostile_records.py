"""An unreadable record costs itself, never the worker and never a neighbour."""

from __future__ import annotations

from typing import Any

import pytest

from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from shared.contracts.topics import dead_letter_topic
from shared.kafka.clients import flush_or_fail, headers_of, open_producer
from shared.settings import Settings
from tests.integration.exit_qualification.ticks.worker_harness import INFY, Book, Market, running_worker
from tests.support.records import ODD_HEADERS, hostile_ticks
from tests.support.trades import opened

POISON = 666_0000


def test_hostile_records_become_dead_letters_and_later_ticks_count(
    settings: Settings, market: Market, book: Book
) -> None:
    hostile = hostile_ticks(INFY)
    producer = open_producer(settings)
    typed: list[tuple[str, str | bytes | None]] = [*ODD_HEADERS, ("ce_type", opened().event_type())]
    for value in hostile:
        producer.produce(market.ticks, key=INFY, value=value, headers=ODD_HEADERS)
        producer.produce(market.trades, key=INFY, value=value, headers=typed)
    flush_or_fail(producer)
    market.open(opened())
    with running_worker(settings) as worker:
        book.await_trades(1)
        market.tick("985.00")
        book.await_exits(1)
        assert worker.failures == []
    for topic in (market.ticks, market.trades):
        dead = market.records(dead_letter_topic(topic))
        assert [each.value() for each in dead] == hostile
        assert {headers_of(each)["dlq_code"] for each in dead} == {"malformed_message"}


@pytest.mark.parametrize("error", [OverflowError("too large"), ZeroDivisionError()], ids=["overflow", "division"])
def test_an_inapplicable_record_becomes_a_dead_letter_alone(
    settings: Settings, market: Market, book: Book, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    judge = ExitSignalService.on_tick

    def failing(engine: ExitSignalService, symbol: str, price: int, *rest: int) -> Any:
        if price == POISON:
            raise error
        return judge(engine, symbol, price, *rest)

    monkeypatch.setattr(ExitSignalService, "on_tick", failing)
    market.open(opened())
    with running_worker(settings):
        book.await_trades(1)
    for price in ("1000.00", "666.00", "985.00", "1001.00"):
        market.tick(price)
    with running_worker(settings):
        book.await_tick(market.partition(), 4)
        book.await_exits(1)
    [dead] = market.records(dead_letter_topic(market.ticks))
    assert b"666.00" in (dead.value() or b"")
    assert headers_of(dead)["dlq_code"] == "unreadable"
    assert type(error).__name__ in headers_of(dead)["dlq_reason"]
    assert [(row.exit_reason, row.detected_price) for row in book.signals()] == [("STOP_LOSS", 985)]
