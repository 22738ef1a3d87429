"""PostgreSQL and Kafka with a full disk: both come back by themselves, with everything they had acknowledged."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from deploy.local.kafka.apache import ApacheKafka
from deploy.local.kafka.selection import KafkaChoice
from deploy.local.postgres.postgres import EmbeddedPostgres
from deploy.local.processes.ports import free_port
from deploy.local.processes.server import ChildServer
from deploy.local.processes.supervisor import Supervisor
from shared.ids import new_secret
from tests.support.servers import make_broker
from tests.support.small_disk import SmallDisk, small_disk
from tests.support.waiting import LIMIT_S, wait_until

START_LIMIT_S = 90
RETURN_LIMIT_S = 90
RECORD_BYTES = 200_000
TOPIC = "kept"


@pytest.fixture
def disk(directory: Path) -> Iterator[SmallDisk]:
    with small_disk(directory, 256) as mounted:
        yield mounted


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(said: list[str], disk: SmallDisk) -> Iterator[Supervisor]:
    supervisor = Supervisor(said.append, lambda: True)
    yield supervisor
    disk.free()
    supervisor.stop()


def _start(supervisor: Supervisor, server: ChildServer) -> None:
    supervisor.launch([server])
    supervisor.await_ready(START_LIMIT_S, lambda: False, lambda name: None)


def _fill_until_it_ends(supervisor: Supervisor, disk: SmallDisk, write: Callable[[], object], limit: int) -> None:
    """Write on a full disk until the server ends for want of space, and see it reported."""
    (one,) = supervisor.supervised
    disk.fill()

    def ended() -> bool:
        for _ in range(limit):
            if one.server.exit_status is not None:
                break
            write()
        supervisor.look()
        return one.failures_in_a_row > 0

    wait_until(ended, "its end", RETURN_LIMIT_S)
    assert one.state == f"restarting, attempt {one.failures_in_a_row}, No space left on device"


def _wait_for_return(supervisor: Supervisor, disk: SmallDisk) -> None:
    disk.free()
    (one,) = supervisor.supervised

    def ready() -> bool:
        supervisor.look()
        return not one.state

    wait_until(ready, "its return", RETURN_LIMIT_S)


def test_postgresql_comes_back_with_every_row_that_was_committed(
    supervisor: Supervisor, said: list[str], disk: SmallDisk
) -> None:
    server = EmbeddedPostgres(disk.path / "postgres", free_port(str(disk.path)), new_secret())
    _start(supervisor, server)
    committed: list[int] = []
    with psycopg.connect(server.admin_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (n int PRIMARY KEY, filling bytea)")

    numbers = count()

    def write() -> None:
        with suppress(psycopg.Error), _connected(server) as connection:
            number = next(numbers)
            connection.execute("INSERT INTO kept VALUES (%s, %s)", (number, random.randbytes(RECORD_BYTES)))
            committed.append(number)
        # The server survives a lack of room for a row; it ends once there is none for its log.
        with suppress(psycopg.Error), _connected(server) as connection:
            connection.execute("SELECT pg_logical_emit_message(false, 'filling', 'of the log')")
            connection.execute("SELECT pg_switch_wal()")

    write()
    _fill_until_it_ends(supervisor, disk, write, limit=20)
    _wait_for_return(supervisor, disk)
    with psycopg.connect(server.admin_url) as connection:
        kept = {number for (number,) in connection.execute("SELECT n FROM kept")}
    assert committed
    assert set(committed) <= kept
    assert said[-1].startswith("postgres is ready again")


def _connected(server: EmbeddedPostgres) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(server.admin_url, autocommit=True, connect_timeout=2)


@pytest.mark.apache
def test_kafka_comes_back_with_every_record_that_it_took(
    supervisor: Supervisor, said: list[str], disk: SmallDisk
) -> None:
    broker = make_broker(KafkaChoice.APACHE, disk.path / "kafka")
    assert isinstance(broker, ApacheKafka)
    _start(supervisor, broker)
    servers: dict[str, str | int | float | bool] = {"bootstrap.servers": broker.bootstrap_servers, "log_level": 0}
    admin = AdminClient(servers)
    admin.create_topics([NewTopic(TOPIC, 1, 1)])[TOPIC].result(timeout=LIMIT_S)
    taken: list[int] = []

    def note(error: KafkaError | None, message: Message) -> None:
        if error is None:
            taken.append(int(message.key() or b""))

    producer = Producer({**servers, "enable.idempotence": True, "message.timeout.ms": 2000})
    numbers = iter(range(1_000_000))

    def write() -> None:
        producer.produce(TOPIC, key=str(next(numbers)), value=bytes(RECORD_BYTES), on_delivery=note)
        producer.flush(1)

    def is_taken() -> bool:
        write()
        return bool(taken)

    wait_until(is_taken, "the broker takes a record")
    _fill_until_it_ends(supervisor, disk, write, limit=1)
    _wait_for_return(supervisor, disk)
    assert taken
    assert set(taken) <= _keys(servers)
    assert said[-1].startswith("kafka is ready again")


def _keys(servers: Mapping[str, str | int | float | bool]) -> set[int]:
    consumer = Consumer({**servers, "group.id": "reader", "enable.partition.eof": True})
    consumer.assign([TopicPartition(TOPIC, 0, OFFSET_BEGINNING)])
    keys: set[int] = set()
    try:
        while True:
            message = consumer.poll(LIMIT_S)
            assert message is not None, "the log's end was not reached"
            error = message.error()
            if error is not None:
                assert error.code() == KafkaError._PARTITION_EOF, error
                return keys
            keys.add(int(message.key() or b""))
    finally:
        consumer.close()
