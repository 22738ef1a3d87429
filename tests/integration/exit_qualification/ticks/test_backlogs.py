"""A worker behind judges trades and ticks in the order of their arrival, as one in time does."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from random import Random
from uuid import UUID

from confluent_kafka import Message

from services.exit_qualification.ticks.batch import in_order
from shared.clock import SystemClock
from shared.contracts.ticks import parse_tick
from shared.contracts.trades import TradeOpened
from shared.contracts.vocabulary import ExitReason
from shared.instants import epoch_ms
from shared.kafka.clients import arrived_ms
from shared.money import to_units
from shared.settings import Settings
from tests.integration.exit_qualification.ticks.worker_harness import Book, Market, running_worker
from tests.support.trades import opened
from tests.support.waiting import wait_until
from tests.unit.exit_qualification.oracle import BruteForceEngine, Trade

SYMBOLS = [f"NSE:S{number}" for number in range(8)]
BATCH = 5
"""Records of a poll: a poll has those of one topic only, most of the time."""
First = tuple[ExitReason, int]
"""Reason and price of a trade's first exit."""


def _record(market: Market, random: Random) -> None:
    """A market moves, and trades are opened at its prices; nobody judges them yet."""
    prices = dict.fromkeys(SYMBOLS, 1000)
    for _ in range(600):
        symbol = random.choice(SYMBOLS)
        if random.random() < 0.15:
            price = prices[symbol]
            plan = random.choice([{"stop_loss": str(price - 3)}, {"target": str(price + 3)}])
            market.open(opened(symbol=symbol, plan=plan, entry_price=Decimal(price), entered_at=SystemClock().now()))
        else:
            prices[symbol] += random.choice([-2, -1, 1, 2])
            market.tick(str(prices[symbol]), symbol)


def _arrived(market: Market) -> Iterator[Message]:
    everything = (market.records(market.ticks), market.records(market.trades))
    for partition in range(market.settings.topic_partitions):
        ticks, trades = ([each for each in topic if each.partition() == partition] for topic in everything)
        yield from in_order(ticks, trades, 0)


def _by_brute_force(market: Market) -> dict[UUID, First]:
    engine, first = BruteForceEngine(), dict[UUID, First]()
    for message in _arrived(market):
        at_ms = arrived_ms(message, 0)
        if message.topic() == market.trades:
            event = TradeOpened.model_validate_json(message.value() or b"")
            entry = to_units(event.entry_price)
            entered_ms = max(at_ms, epoch_ms(event.entered_at))
            engine.add_trade(Trade(event.trade_id, event.symbol, event.direction, entry, entered_ms, event.exit_plan))
        else:
            symbol, price, ts_us, seq = parse_tick(message.value() or b"")
            _, found = engine.on_tick(symbol, price, ts_us, seq, at_ms)
            for trade_id, candidates in found:
                first.setdefault(trade_id, (candidates[0][0], price))
    return first


def test_a_worker_behind_exits_as_one_in_time(settings: Settings, market: Market, book: Book) -> None:
    _record(market, Random(7))
    expected = _by_brute_force(market)
    assert len(expected) > 20
    behind = settings.model_copy(update={"tick_batch_size": BATCH})
    with running_worker(behind):
        wait_until(lambda: len(book.signals()) >= len(expected), f"{len(expected)} signals are written")
        for partition in range(settings.topic_partitions):
            ticks = [each for each in market.records(market.ticks) if each.partition() == partition]
            book.await_tick(partition, len(ticks))
    exits = {each.trade_id: (ExitReason(each.exit_reason), to_units(each.detected_price)) for each in book.signals()}
    assert exits == expected
