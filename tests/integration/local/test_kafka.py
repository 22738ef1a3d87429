"""The embedded brokers, and the choice between them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from deploy.local.kafka import selection as choice
from deploy.local.kafka.apache import ApacheKafka
from deploy.local.kafka.broker import Broker
from deploy.local.kafka.selection import KafkaChoice, decide
from deploy.local.kafka.tansu import Tansu
from shared.errors import ConfigurationError
from tests.support.servers import make_broker
from tests.support.waiting import LIMIT_S

TOPIC = "kept"
QUIET = {"log_level": 0}


@pytest.fixture
def apache(directory: Path) -> Iterator[ApacheKafka]:
    broker = make_broker(KafkaChoice.APACHE, directory)
    assert isinstance(broker, ApacheKafka)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def tansu(directory: Path) -> Iterator[Tansu]:
    broker = make_broker(KafkaChoice.TANSU, directory)
    assert isinstance(broker, Tansu)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def no_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.delenv(choice.EXTERNAL_SETTING, raising=False)


def _make_topic(broker: Broker, partitions: int = 3) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers, **QUIET})
    for future in admin.create_topics([NewTopic(TOPIC, partitions, 1)]).values():
        future.result(timeout=LIMIT_S)


def _produce(broker: Broker, value: bytes) -> None:
    producer = Producer(
        {"bootstrap.servers": broker.bootstrap_servers, "enable.idempotence": True, "acks": "all", **QUIET}
    )
    producer.produce(TOPIC, value=value, key=b"key")
    assert producer.flush(LIMIT_S) == 0


def _first_value(broker: Broker) -> bytes | None:
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": "reader",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "session.timeout.ms": 6000,  # Tansu lets a group wait half of it for others to join
            **QUIET,
        }
    )
    consumer.subscribe([TOPIC])
    try:
        message = consumer.poll(LIMIT_S)
        return message.value() if message is not None else None
    finally:
        consumer.close()


@pytest.mark.apache
def test_acknowledged_records_survive_restart_and_kill_of_apache_kafka(
    apache: ApacheKafka,
) -> None:
    _make_topic(apache)
    _produce(apache, b"first")
    apache.stop()
    apache.start()
    assert _first_value(apache) == b"first"
    assert apache.pid is not None
    os.kill(apache.pid, signal.SIGKILL)
    apache.start()
    assert _first_value(apache) == b"first"


@pytest.mark.apache
def test_apache_kafka_starts_from_the_archive_of_its_classes(kafka: Broker) -> None:
    assert "classes.jsa" in Path(f"/proc/{kafka.pid}/maps").read_text()


@pytest.mark.apache
def test_apache_kafka_makes_no_topic_that_nobody_asked_for(apache: ApacheKafka) -> None:
    producer = Producer(
        {
            "bootstrap.servers": apache.bootstrap_servers,
            "topic.metadata.propagation.max.ms": 0,
            "message.timeout.ms": 60_000,
            **QUIET,
        }
    )
    failures: list[KafkaError | None] = []
    producer.produce("unknown", value=b"x", on_delivery=lambda error, _: failures.append(error))
    producer.flush(60)
    assert [error.code() for error in failures if error] == [KafkaError.UNKNOWN_TOPIC_OR_PART]


def test_tansu_carries_records_and_forgets_them_when_it_ends(tansu: Tansu) -> None:
    _make_topic(tansu)
    _produce(tansu, b"first")
    assert _first_value(tansu) == b"first"
    tansu.stop()
    tansu.start()
    admin = AdminClient({"bootstrap.servers": tansu.bootstrap_servers, **QUIET})
    assert TOPIC not in admin.list_topics(timeout=LIMIT_S).topics


def test_a_stopped_broker_answers_nobody(tansu: Tansu) -> None:
    assert tansu.is_ready()
    tansu.stop()
    assert not tansu.is_ready()
    with pytest.raises(KafkaException):
        AdminClient({"bootstrap.servers": tansu.bootstrap_servers, **QUIET}).list_topics(timeout=1)


@pytest.mark.usefixtures("no_java")
def test_missing_java_selects_tansu_with_one_line_cost_note() -> None:
    decision = decide(KafkaChoice.AUTO)
    assert decision.kafka is KafkaChoice.TANSU
    assert "no Java" in decision.note
    assert "nothing survives its process" in decision.note
    assert "\n" not in decision.note


@pytest.mark.usefixtures("no_java")
def test_apache_kafka_asked_for_by_name_is_not_replaced() -> None:
    with pytest.raises(ConfigurationError, match="no Java"):
        decide(KafkaChoice.APACHE)


def test_without_maven_and_without_jars_tansu_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(choice.EXTERNAL_SETTING, raising=False)
    monkeypatch.setattr(choice, "find_java", lambda account: Path("/usr/bin/java"))
    monkeypatch.setattr(choice, "jars_cached", lambda: False)
    monkeypatch.setenv("PATH", "/nonexistent")
    decision = decide(KafkaChoice.AUTO)
    assert decision.kafka is KafkaChoice.TANSU
    assert "no Maven" in decision.note


def test_when_maven_cannot_fetch_it_tansu_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Path:
        raise ConfigurationError("Maven could not fetch Apache Kafka")

    monkeypatch.delenv(choice.EXTERNAL_SETTING, raising=False)
    monkeypatch.setattr(choice, "find_java", lambda account: Path("/usr/bin/java"))
    monkeypatch.setattr(choice, "jars_cached", lambda: False)
    monkeypatch.setattr(choice, "require_maven", lambda: Path("/usr/bin/mvn"))
    monkeypatch.setattr(choice, "kafka_jars", fail)
    said: list[str] = []
    decision = decide(KafkaChoice.AUTO, said.append)
    assert decision.kafka is KafkaChoice.TANSU
    assert "could not fetch" in decision.note
    assert len(said) == 1


def test_an_external_cluster_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(choice.EXTERNAL_SETTING, raising=False)
    with pytest.raises(ConfigurationError, match=choice.EXTERNAL_SETTING):
        decide(KafkaChoice.EXTERNAL)
    monkeypatch.setenv(choice.EXTERNAL_SETTING, "broker:9092")
    assert decide(KafkaChoice.EXTERNAL).bootstrap_servers == "broker:9092"
    assert decide(KafkaChoice.AUTO).kafka is KafkaChoice.EXTERNAL
