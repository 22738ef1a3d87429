"""`exitflow ticks` and `exitflow topics` on a real Kafka."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from shared.contracts.ticks import Tick, parse_tick
from shared.contracts.topics import MARKET_TICKS, TRADES, TopicNames
from shared.kafka.clients import murmur2_partition, open_consumer
from shared.settings import Settings
from tests.support.waiting import LIMIT_S
from tests.unit.cli.results import Result

Exitflow = Callable[..., Result]


@pytest.fixture
def environment(settings: Settings, topics: TopicNames, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The test's own topics, named by the settings."""
    monkeypatch.setenv("EXITFLOW_KAFKA_BOOTSTRAP_SERVERS", settings.kafka_bootstrap_servers)
    monkeypatch.setenv("EXITFLOW_KAFKA_TOPIC_PREFIX", settings.kafka_topic_prefix)
    monkeypatch.setenv("EXITFLOW_TOPIC_PARTITIONS", str(settings.topic_partitions))
    return settings


def read_ticks(settings: Settings, count: int) -> list[tuple[int, Tick]]:
    """The first `count` ticks with their partitions."""
    consumer = open_consumer(settings, "test")
    try:
        consumer.subscribe([TopicNames(settings.kafka_topic_prefix).on_cluster(MARKET_TICKS)])
        found = consumer.consume(count, timeout=LIMIT_S)
    finally:
        consumer.close()
    return [(int(record.partition() or 0), Tick.of(parse_tick(record.value()))) for record in found]


def test_tick_lands_on_partition_java_clients_choose(environment: Settings, exitflow: Exitflow) -> None:
    sent = exitflow("ticks", "send", "NSE:INFY", "1520.35", "--seq", "7", "--json")
    assert sent.status == 0
    [(partition, tick)] = read_ticks(environment, 1)
    assert partition == murmur2_partition(b"NSE:INFY", environment.topic_partitions)
    assert json.loads(sent.out) == tick.model_dump(mode="json")
    assert tick.seq == 7


def test_a_price_that_cannot_be_is_refused(environment: Settings, exitflow: Exitflow) -> None:
    ended = exitflow("ticks", "send", "NSE:INFY", "0")
    assert ended.status == 2
    assert "ltp" in ended.err


def test_replay_stops_at_bad_line_and_resumes_behind_it(
    environment: Settings, exitflow: Exitflow, tmp_path: Path
) -> None:
    file = tmp_path / "day.csv"
    good = [f"NSE:INFY,{1500 + n},2026-01-13T03:45:0{n}Z,{n}" for n in range(1, 4)]
    file.write_text("\n".join(["symbol,ltp,ts,seq", good[0], good[1], "NSE:INFY,much,2026-01-13T03:45:03Z,3", good[2]]))
    stopped = exitflow("ticks", "replay", str(file), "--speed", "max")
    assert stopped.status == 1
    assert "line 4" in stopped.err
    assert "--from-line 4" in stopped.err
    resumed = exitflow("ticks", "replay", str(file), "--speed", "max", "--from-line", "5", "--json")
    assert json.loads(resumed.out) == {"sent": 1, "last_line": 5, "skipped": 0}
    assert [tick.seq for _, tick in read_ticks(environment, 3)] == [1, 2, 3]


def test_topics_create_makes_what_is_missing_once(
    settings: Settings, exitflow: Exitflow, environment: Settings
) -> None:
    assert json.loads(exitflow("topics", "create", "--json").out)["made"] == []


def test_reset_forgets_offsets_and_writes_audit_entry(
    environment: Settings, exitflow: Exitflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = environment.require_exit_database()
    monkeypatch.setenv("EXITFLOW_EXIT_DATABASE_URL", url)
    with psycopg.connect(url, options="-c search_path=exit_qualification") as connection:
        connection.execute("INSERT INTO tick_partitions (partition, tick_offset, trade_offset) VALUES (0, 7, 9)")
        connection.execute(
            "INSERT INTO tick_symbols (symbol, partition, last_price, last_ts, last_seq, tick_offset)"
            " VALUES ('NSE:INFY', 0, 1, now(), 1, 8)"
        )
    assert exitflow("ticks", "reset", "--reason", "a new cluster", "--yes", "--json").status == 0
    with psycopg.connect(url, options="-c search_path=exit_qualification") as connection:
        assert connection.execute("SELECT tick_offset, trade_offset FROM tick_partitions").fetchall() == [(0, 0)]
        assert connection.execute("SELECT symbol, tick_offset FROM tick_symbols").fetchall() == [("NSE:INFY", 0)]
        assert connection.execute("SELECT reason FROM audit_log").fetchall() == [("a new cluster",)]


@pytest.mark.parametrize("name", ["day.csv", "day.jsonl"])
def test_a_replay_from_behind_the_end_fails_and_says_so(
    environment: Settings, exitflow: Exitflow, tmp_path: Path, name: str
) -> None:
    lines = {
        "day.csv": "symbol,ltp,ts,seq\nNSE:INFY,1520,2026-01-13T09:15:00Z,1\n",
        "day.jsonl": '{"symbol":"NSE:INFY","ltp":"1520","ts":"2026-01-13T09:15:00Z","seq":1}\n',
    }
    (tmp_path / name).write_text(lines[name])
    ended = exitflow("ticks", "replay", str(tmp_path / name), "--speed", "max", "--from-line", "4")
    assert ended.status != 0
    assert "no tick on line 4" in ended.err


@pytest.mark.apache
def test_topics_grow_and_open_trades_follow(
    environment: Settings, topics: TopicNames, exitflow: Exitflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXITFLOW_EXIT_DATABASE_URL", environment.require_exit_database())
    names = [topics.on_cluster(topic) for topic in (MARKET_TICKS, TRADES)]
    wanted = str(environment.topic_partitions + 2)
    first = exitflow("topics", "grow", names[0], "--partitions", wanted, "--json")
    assert json.loads(first.out)["grown"] == names[:1]
    refused = exitflow("ticks", "rehome", "--reason", "more")
    assert refused.status == 2
    assert f"exitflow topics grow {names[1]} --partitions {wanted}" in refused.err
    assert json.loads(exitflow("topics", "grow", *names, "--partitions", wanted, "--json").out)["grown"] == names[1:]
    moved = json.loads(exitflow("ticks", "rehome", "--reason", "more", "--dry-run", "--json").out)
    assert moved == {"partitions": int(wanted), "trades": 0, "symbols": 0, "dry_run": True}
    shrunk = exitflow("topics", "grow", names[0], "--partitions", "1")
    assert (shrunk.status, "cannot have fewer" in shrunk.err) == (2, True)
