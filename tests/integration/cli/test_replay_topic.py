"""`exitflow replay --topic`: ticks of a real Kafka through a book."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from services.cli.support.tapes import topic_reader
from services.cli.support.tapes.prices_around import prices_around
from services.cli.support.tapes.topic_range import TopicRange
from services.cli.support.tapes.topic_tape import TopicTape
from services.replay.tape.format import TapeFormat
from shared.clock import SystemClock, rfc3339
from shared.contracts.topics import MARKET_TICKS, TopicNames
from shared.errors import InvalidInput, NotFound
from shared.kafka.clients import flush_or_fail, home_partition, open_producer
from shared.settings import Settings
from tests.support.topic_changes import delete_topic, remove_records
from tests.unit.cli.results import Result

Exitflow = Callable[..., Result]
INFY, TCS = "NSE:INFY", "NSE:TCS"
TICKS = [(INFY, "1001"), (TCS, "3500"), (INFY, "1004"), (TCS, "3489"), (INFY, "1010"), (INFY, "1020")]
BOOK = [
    {"symbol": INFY, "direction": "LONG", "quantity": 100, "entry_price": "1000", "exit_plan": {"target": "1010"}},
    {"symbol": TCS, "direction": "LONG", "quantity": 10, "entry_price": "3500", "exit_plan": {"stop_loss": "3490"}},
]


class Market:
    """The environment's topic of ticks, and a book in a file."""

    def __init__(self, settings: Settings, topics: TopicNames, book: Path) -> None:
        self.settings = settings
        self.topic = topics.on_cluster(MARKET_TICKS)
        self.book = str(book)
        self._producer = open_producer(settings)
        self._sent = 0

    @property
    def home(self) -> int:
        """The partition of INFY."""
        return home_partition(INFY, self.settings.topic_partitions)

    def send(self, symbol: str, price: str, **changes: Any) -> None:
        """Hand over a tick one second after the last."""
        self._sent += 1
        tick = {"symbol": symbol, "ltp": price, "ts": f"2026-01-13T03:45:{self._sent:02}Z", "seq": self._sent}
        self._producer.produce(self.topic, **{"key": symbol, "value": json.dumps(tick), **changes})

    def flush(self) -> None:
        """Wait until Kafka has all."""
        flush_or_fail(self._producer)

    def tape(self, **wanted: Any) -> TopicTape:
        """The topic, or a range of it, of INFY."""
        return TopicTape(self.settings, TopicRange(topic=MARKET_TICKS, **wanted), TapeFormat(symbol=INFY))


@pytest.fixture
def market(settings: Settings, topics: TopicNames, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Market:
    monkeypatch.setenv("EXITFLOW_KAFKA_BOOTSTRAP_SERVERS", settings.kafka_bootstrap_servers)
    monkeypatch.setenv("EXITFLOW_KAFKA_TOPIC_PREFIX", settings.kafka_topic_prefix)
    book = tmp_path / "book.json"
    book.write_text(json.dumps(BOOK))
    found = Market(settings, topics, book)
    for tick in TICKS:
        found.send(*tick)
    found.flush()
    return found


def _exits(result: Result) -> list[tuple[str, str, str]]:
    assert result.status == 0, result.err
    exits = json.loads(result.out)["exits"]
    return sorted((each["symbol"], each["exit_reason"], each["fill_price"]) for each in exits)


def test_a_topic_gives_what_the_worker_would_judge(exitflow: Exitflow, market: Market) -> None:
    elsewhere = (market.home + 1) % market.settings.topic_partitions
    market.send(INFY, "2000", partition=elsewhere)
    market.send(TCS, "3400", value="no tick")
    market.flush()
    result = exitflow("replay", "--topic", MARKET_TICKS, "--book", market.book, "--format", "json")
    assert _exits(result) == [(INFY, "TARGET", "1010.00"), (TCS, "STOP_LOSS", "3489.00")]
    assert "left out 1 record without a tick" in result.err
    assert "left out 1 tick away from the partition of their symbol" in result.err


def test_the_prices_around_a_time_are_those_of_the_symbol(market: Market) -> None:
    found = prices_around(market.settings, INFY, SystemClock().now())
    assert found.ticks == 4
    assert [found.first, found.low, found.high, found.last] == [Decimal(price) for price in (1001, 1001, 1020, 1020)]
    assert prices_around(market.settings, INFY, SystemClock().now() - timedelta(hours=1)).ticks == 0


def test_range_ends_before_its_last_offset_and_time(exitflow: Exitflow, market: Market) -> None:
    options = ("replay", "--topic", MARKET_TICKS, "--book", market.book, "--format", "json")
    home = market.home
    all_of_it = [tick.price // 10_000 for tick in market.tape()]
    assert all_of_it == [1001, 1004, 1010, 1020]
    begin = market.tape()._bounds[market.topic, home].beginning
    ranged = market.tape(from_offsets={home: begin + 1}, to_offsets={None: begin + 2})
    assert [tick.price // 10_000 for tick in ranged] == [1004]
    now = SystemClock().now()
    assert _exits(exitflow(*options, "--until", rfc3339(now))) == [
        (INFY, "TARGET", "1010.00"), (TCS, "STOP_LOSS", "3489.00")
    ]  # fmt: skip
    assert _exits(exitflow(*options, "--until", "2026-01-13T09:15", "--tz", "Asia/Kolkata")) == []
    market.send(INFY, "1030", timestamp=int(now.timestamp() * 1000) + 1000)
    market.flush()
    later = [tick.price // 10_000 for tick in market.tape(since_ms=int(now.timestamp() * 1000) + 1)]
    assert later == [1030]


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (("--topic", "ticks.nowhere"), "Kafka has no topic ticks.nowhere"),
        (("--topic", MARKET_TICKS, "--from-offset", "900:0"), "has no partition 900"),
        (("--topic", MARKET_TICKS, "--from-offset", "5000"), "offset 5000 does not exist yet; it ends at"),
        (("--topic", MARKET_TICKS, "--from-offset", "1", "--to-offset", "0"), "before it begins"),
    ],
)
def test_what_is_not_there_is_said(exitflow: Exitflow, market: Market, options: tuple[str, ...], what: str) -> None:
    result = exitflow("replay", *options, "--symbol", INFY, "--book", market.book)
    assert result.status == 1
    assert what in result.err


@pytest.mark.apache
def test_offsets_removed_by_retention_are_named_before_and_during_reading(market: Market) -> None:
    under_way = market.tape()
    remove_records(market.settings, market.topic, market.home, 2)
    with pytest.raises(InvalidInput, match=f"begin again with --from-offset {market.home}:2"):
        list(under_way)
    with pytest.raises(InvalidInput, match=f"offset 1 is gone.*--from-offset {market.home}:2"):
        market.tape(from_offsets={None: 1})
    assert [tick.price // 10_000 for tick in market.tape()] == [1010, 1020]


def test_a_topic_that_is_deleted_meanwhile_ends_the_replay(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topic_reader, "SILENCE_S", 0.5)
    under_way = market.tape()
    delete_topic(market.settings, market.topic)
    with pytest.raises(NotFound, match="was deleted while it was read"):
        list(under_way)
