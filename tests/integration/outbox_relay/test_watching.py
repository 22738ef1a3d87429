"""The relay's process seen from outside."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from psycopg import sql

from deploy.local.kafka.broker import Broker
from deploy.local.processes.ports import free_port
from shared.contracts.topics import EXIT_INTENTS, TopicNames
from shared.http.clients import direct
from shared.settings import Settings
from tests.integration.outbox_relay.kafka_log import KafkaLog
from tests.integration.outbox_relay.outbox_writer import Happened, Writer
from tests.integration.outbox_relay.relays import relay_process, stopped
from tests.integration.outbox_relay.test_failures import limit_record_bytes
from tests.support.product_process import ProductProcess
from tests.support.servers import Database
from tests.support.waiting import LIMIT_S, wait_until


@dataclass
class Watched:
    """A relay process and where it answers."""

    process: ProductProcess
    port: int

    def get(self, path: str) -> httpx.Response | None:
        """Its answer; None while nobody answers."""
        try:
            url = f"http://127.0.0.1:{self.port}{path}"
            return httpx.get(url, timeout=LIMIT_S, **direct(url))
        except httpx.TransportError:
            return None

    def is_ready(self) -> bool:
        """Whether it reports itself ready."""
        answer = self.get("/readyz")
        return answer is not None and answer.status_code == 200

    def is_alive(self) -> bool:
        """Whether it answers."""
        answer = self.get("/healthz")
        return answer is not None and answer.status_code == 200

    def why_not_ready(self) -> str:
        """Its word on the exit outbox while it is not ready."""
        answer = self.get("/readyz")
        if answer is None or answer.status_code != 503:
            return ""
        return str(answer.json()["checks"].get("relay exit", ""))

    def series(self) -> dict[str, float]:
        """Its metrics of the exit outbox: name, with other labels than the outbox behind it, → value."""
        answer = self.get("/metrics")
        assert answer is not None
        return {
            "/".join(
                [sample.name, *(value for name, value in sorted(sample.labels.items()) if name != "outbox")]
            ): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
            if sample.labels.get("outbox") == "exit"
        }


def seen_as(relay: Watched, **expected: float) -> bool:
    """Return whether metrics of the exit outbox have these values; the session and the survey set them in turn."""
    found = relay.series()
    return all(found.get(f"outbox_{name}") == value for name, value in expected.items())


@contextmanager
def watched_relay(settings: Settings, directory: Path) -> Iterator[Watched]:
    """While inside, a relay process with a port."""
    port = free_port(str(directory))
    with relay_process(settings.model_copy(update={"http_port": port})) as process:
        relay = Watched(process, port)
        wait_until(relay.is_ready)
        yield relay


@contextmanager
def unreachable(database: Database) -> Iterator[None]:
    """While inside, nobody is connected to the database, and nobody can connect."""
    server, _, name = database.admin_url.rpartition("/")
    with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
        allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
        admin.execute(allow.format(sql.Identifier(name), sql.SQL("false")))
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        try:
            yield
        finally:
            admin.execute(allow.format(sql.Identifier(name), sql.SQL("true")))


def test_process_reports_readiness_and_why_it_is_not_ready(
    writer: Writer, exit_relay: Settings, log: KafkaLog, kafka: Broker, database: Database, tmp_path: Path
) -> None:
    with watched_relay(exit_relay, tmp_path) as relay:
        assert kafka.pid is not None
        with stopped(kafka.pid):
            writer.write("meanwhile")
            wait_until(lambda: "Kafka does not answer since" in relay.why_not_ready())
            wait_until(relay.is_alive)
        wait_until(relay.is_ready)
        with unreachable(database):
            wait_until(lambda: "the database does not answer" in relay.why_not_ready())
            wait_until(relay.is_alive)
        wait_until(relay.is_ready)
        writer.write("afterwards")
        log.wait_for(2)


def test_metrics_have_the_true_values(writer: Writer, exit_relay: Settings, log: KafkaLog, tmp_path: Path) -> None:
    with watched_relay(exit_relay, tmp_path) as relay:
        for _ in range(7):
            writer.write(*[f"key-{n}" for n in range(61)])
        log.wait_for(427)
        wait_until(lambda: writer.unpublished() == 0)
        before = relay.series()["outbox_survey_timestamp_seconds"]
        wait_until(lambda: relay.series()["outbox_survey_timestamp_seconds"] > before)
        found = relay.series()
    assert found["outbox_published_total"] == 427
    # One observation a run of consecutive events.
    runs = found["outbox_publish_latency_seconds_count"]
    assert 1 <= runs <= 427
    assert found["outbox_publish_latency_seconds_bucket/+Inf"] == runs
    assert 0 < found["outbox_publish_latency_seconds_sum"] < 60 * runs
    assert found["outbox_relay_sessions_total"] == 1
    assert found["outbox_shards_held"] == 64
    assert 0 < found["outbox_lease_remaining_seconds"] <= exit_relay.relay_lease_s
    for nothing in (
        "shards_unheld",
        "backlog_events",
        "in_flight_events",
        "parked_events",
        "shards_paused",
        "backlog_capped_shards",
    ):
        assert found[f"outbox_{nothing}"] == 0
    assert not [name for name in found if name.startswith(("outbox_relay_failures", "outbox_produce_errors"))]


@pytest.mark.apache
def test_kafka_refusals_are_counted_by_error_and_as_parked(
    writer: Writer, exit_relay: Settings, topics: TopicNames, tmp_path: Path
) -> None:
    limit_record_bytes(exit_relay, topics.on_cluster(EXIT_INTENTS), 100_000)
    writer.tell(
        Happened(name="a", note=random.Random(1).randbytes(150_000).hex()), Happened(name="a"), Happened(name="b")
    )
    with watched_relay(exit_relay, tmp_path) as relay:
        wait_until(lambda: seen_as(relay, parked_events=2, backlog_events=0, published_total=1), "it is seen")
        found = relay.series()
    assert found["outbox_produce_errors_total/MSG_SIZE_TOO_LARGE"] >= 1
    assert 0 < found["outbox_parked_oldest_age_seconds"] < 60
    assert found["outbox_relay_sessions_total"] == 1 + found["outbox_relay_failures_total/delivery_failed"]


TAKE_AWAY = """
UPDATE exit_qualification.outbox_shard
   SET paused = shard < 32, lease_until = CASE WHEN shard = 63 THEN 'infinity' ELSE lease_until END
"""
OUT_OF_REACH = "SELECT count(*) FROM exit_qualification.outbox_event WHERE shard < 32 OR shard = 63"


def test_the_backlog_counts_what_this_relay_may_not_publish(
    writer: Writer, exit_relay: Settings, tmp_path: Path, database: Database
) -> None:
    with psycopg.connect(database.admin_url, autocommit=True) as admin:
        admin.execute(TAKE_AWAY)
        writer.write(*[f"key-{n}" for n in range(200)])
        row = admin.execute(OUT_OF_REACH).fetchone()
    assert row is not None
    assert 0 < row[0] < 200
    with watched_relay(exit_relay, tmp_path) as relay:
        expected = {"backlog_events": row[0], "published_total": 200 - row[0], "shards_paused": 32, "shards_held": 31}
        wait_until(lambda: seen_as(relay, **expected), "the survey counts what is out of reach")
        found = relay.series()
    assert 0 < found["outbox_oldest_unpublished_age_seconds"] < 60
