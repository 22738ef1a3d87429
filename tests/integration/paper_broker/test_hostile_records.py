"""An unreadable record costs itself, never the broker's feed and never a neighbour."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from services.paper_broker import broker as broker_module
from services.paper_broker.broker import PaperBroker
from services.paper_broker.ledger import Ledger
from services.paper_broker.market_feed import CONDITION, MarketFeed
from shared.clock import SystemClock, rfc3339
from shared.contracts.topics import MARKET_TICKS, TRADES, TopicNames
from shared.kafka.clients import flush_or_fail, open_producer
from shared.runtime.health import Health
from shared.runtime.stopping import Stop
from shared.settings import Settings
from tests.support.records import ODD_HEADERS, hostile_ticks
from tests.support.waiting import LIMIT_S, wait_until

INFY = "NSE:INFY"


def test_hostile_records_and_future_stamps_do_not_affect_the_feed(
    settings: Settings, topics: TopicNames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance = vars(broker_module)["advance"]

    def failing(quote: Any, tick: Any) -> Any:
        if tick.price_units == 666_0000:
            raise OverflowError("too large")
        return advance(quote, tick)

    monkeypatch.setattr(broker_module, "advance", failing)
    producer = open_producer(settings)
    for value in hostile_ticks(INFY):
        for topic in (MARKET_TICKS, TRADES):
            producer.produce(topics.on_cluster(topic), key=INFY, value=value, headers=ODD_HEADERS)
    for seq, (price, ts) in enumerate([("1000.00", "2199-01-01T00:00:00Z"), ("666.00", None), ("1001.00", None)]):
        tick = {"symbol": INFY, "ltp": price, "ts": ts or rfc3339(SystemClock().now()), "seq": seq}
        producer.produce(topics.on_cluster(MARKET_TICKS), key=INFY, value=json.dumps(tick))
        flush_or_fail(producer)
    ledger, stop, health = Ledger(tmp_path), Stop(), Health(CONDITION)
    feed = MarketFeed(settings, ledger, PaperBroker(ledger, SystemClock()), health)
    thread = threading.Thread(target=feed.run, args=(stop,))
    thread.start()
    try:
        wait_until(lambda: _last_units(ledger) == 1001_0000, "the price behind the hostile records is known")
        wait_until(health.is_ready, "the feed is ready again")
    finally:
        stop.set()
        thread.join(LIMIT_S)
        assert not thread.is_alive()
        ledger.close()


def _last_units(ledger: Ledger) -> int:
    with ledger.read() as books:
        quote = books.market.quote(INFY)
    return quote.last_units if quote else 0
