"""Records without a use, or in the wrong place, harm no other."""

from __future__ import annotations

from confluent_kafka import Producer

from services.exit_qualification.ticks.metrics import EVENTS_UNKNOWN, TICKS_FORWARDED, TICKS_STALE
from shared.contracts.topics import dead_letter_topic
from shared.kafka.clients import Headers, flush_or_fail, headers_of, open_producer
from shared.settings import Settings
from tests.integration.exit_qualification.ticks.worker_harness import (
    INFY,
    Book,
    Market,
    running_worker,
)
from tests.support.signing import signed
from tests.support.trades import closed, opened, partially_closed

OF_INFY = b'{"symbol":"NSE:INFY","ltp":"%b","ts":"2026-01-13T03:45:00Z"}'
SYMBOLS = [f"NSE:S{number}" for number in range(12)]


def test_malformed_ticks_become_dead_letters_and_their_neighbours_are_judged(
    settings: Settings, market: Market, book: Book
) -> None:
    trades = opened(), opened(stop_loss="980.00")
    market.open(*trades)
    with running_worker(settings):
        book.await_trades(2)
    bad = [b"", b"nonsense", b"\xff\xfe", b"[]", OF_INFY % b"0", OF_INFY % b"-1", OF_INFY % b"1e999",
           OF_INFY.replace(b"2026", b"0001") % b"990"]  # fmt: skip
    market.tick("990.00")
    for value in bad:
        market.put(value)
    market.tick("980.00")
    with running_worker(settings):
        book.await_tick(market.partition(), len(bad) + 2)
        book.await_exits(2)
    dead = market.records(dead_letter_topic(market.ticks))
    assert [message.value() or b"" for message in dead] == bad
    assert {headers_of(message)["dlq_code"] for message in dead} == {"malformed_message"}
    assert all(headers_of(message)["dlq_reason"] for message in dead)
    assert {row.exit_reason for row in book.signals()} == {"STOP_LOSS"}


def test_a_stale_tick_is_dropped_across_restarts(settings: Settings, market: Market, book: Book) -> None:
    market.open(opened())
    dropped = TICKS_STALE._value.get()
    with running_worker(settings):
        book.await_trades(1)
        market.tick("1005.00", ts="2026-01-13T03:46:00Z")
        book.await_tick(market.partition(), 1)
        market.tick("990.00")
        book.await_tick(market.partition(), 2)
    with running_worker(settings):
        market.tick("990.00", seq=2)  # with a higher one, seconds later, it would follow a clock set back
        book.await_tick(market.partition(), 3)
    assert book.signals() == []
    assert TICKS_STALE._value.get() == dropped + 2


def test_any_producers_ticks_reach_the_trades_of_their_symbol(settings: Settings, market: Market, book: Book) -> None:
    market.open(*(opened(symbol=symbol) for symbol in SYMBOLS))
    plain = Producer({"bootstrap.servers": settings.kafka_bootstrap_servers})
    forwarded = TICKS_FORWARDED._value.get()
    with running_worker(settings):
        book.await_trades(len(SYMBOLS))
        for symbol in SYMBOLS:
            market.tick("1010.00", symbol, plain)
        book.await_exits(len(SYMBOLS))
    placed = market.records(market.ticks)
    assert forwarded < TICKS_FORWARDED._value.get() == forwarded + len(placed) - len(SYMBOLS)
    assert len(book.intents()) == len(SYMBOLS)


def test_unreadable_trades_become_dead_letters_and_others_are_accepted(
    settings: Settings, market: Market, book: Book
) -> None:
    good = opened()
    wrong = (market.partition() + 1) % settings.topic_partitions
    producer = open_producer(settings)
    typed: Headers = [*signed(market.trades, INFY, good.payload(), {"ce_type": good.event_type()}).items()]
    for headers, value, partition in [
        (typed, b"nonsense", market.partition()),
        ([], good.payload(), market.partition()),
        (typed, good.payload(), wrong),
    ]:
        producer.produce(market.trades, key=INFY, value=value, headers=headers, partition=partition)
    flush_or_fail(producer)
    with running_worker(settings):
        book.await_trades(1)
    assert book.value("SELECT partition FROM open_trades") == market.partition()
    found = [headers_of(message)["dlq_code"] for message in market.records(dead_letter_topic(market.trades))]
    assert sorted(found) == ["malformed_message", "malformed_message"]


def test_an_event_of_a_type_not_known_is_skipped(settings: Settings, market: Market, book: Book) -> None:
    skipped = EVENTS_UNKNOWN._value.get()
    producer = open_producer(settings)
    producer.produce(market.trades, key=INFY, value=b"{}", headers=[("ce_type", b"io.exitflow.TradeSplit.v1")])
    flush_or_fail(producer)
    market.open(opened())
    with running_worker(settings):
        book.await_trades(1)
    assert EVENTS_UNKNOWN._value.get() == skipped + 1
    assert market.records(dead_letter_topic(market.trades)) == []


def test_unsigned_trade_events_have_no_effect(settings: Settings, market: Market, book: Book) -> None:
    guarded, invented = opened(stop_loss="990.00"), opened(stop_loss="990.00")
    market.open(guarded)
    with running_worker(settings):
        book.await_trades(1)
        for event in (invented, closed(guarded), partially_closed(guarded)):
            market.forge(event)
        market.tick("989.00")
        book.await_exits(1)
    (intent,) = book.intents()
    assert (intent.trade_id, intent.exit_reason, intent.quantity) == (guarded.trade_id, "STOP_LOSS", 100)
    found = [headers_of(message)["dlq_code"] for message in market.records(dead_letter_topic(market.trades))]
    assert found == ["untrusted"] * 3
