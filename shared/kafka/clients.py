"""Clients of Kafka, and the shape of records on it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from confluent_kafka import (
    TIMESTAMP_LOG_APPEND_TIME,
    Consumer,
    KafkaError,
    Message,
    Producer,
    cimpl,
)
from confluent_kafka.admin import AdminClient

from shared.errors import ConfigurationError, Unavailable
from shared.kafka.client_logging import CLIENT_LOG
from shared.settings import Settings
from shared.wording import plural

Headers = list[tuple[str, str | bytes | None]]

FATAL_ALONE = {"log_level": 2}
"""Log fatal errors only; callers already see each failure, and librdkafka would log every second during an outage."""

SOCKET_TIMEOUT_MS = 10_000
"""A request without an answer for so long ends its connection, and another one is tried."""
CONNECT_TIMEOUT_MS = 5_000
FIXED_FETCH_WAIT_MS = 2000
"""How long a fetch of a consumer waits for a record if its partitions are assigned once, when it starts. No partition
comes later, which would have to wait for a fetch of the others."""
ADMIN_TIMEOUT_S = 15
KEYS_REMEMBERED = 200_000
FLUSH_TIMEOUT_S = 30
QUEUE_WAIT_S = 0.1


def client_config(settings: Settings) -> dict[str, Any]:
    """Return the configuration common to all clients of the configured cluster."""
    return {
        "bootstrap.servers": settings.kafka_bootstrap_servers,
        "client.id": settings.process,
        "socket.keepalive.enable": True,
        "socket.timeout.ms": SOCKET_TIMEOUT_MS,
        "socket.connection.setup.timeout.ms": CONNECT_TIMEOUT_MS,
        "reconnect.backoff.max.ms": 2000,
        **_security_config(settings),
    }


def _security_config(settings: Settings) -> dict[str, Any]:
    """Return a client's authentication and encryption settings; empty for an open cluster."""
    protocol = settings.kafka_security_protocol
    if protocol == "PLAINTEXT":
        return {}
    config: dict[str, Any] = {"security.protocol": protocol}
    if settings.kafka_ca is not None:
        config["ssl.ca.pem"] = settings.kafka_ca
    if protocol.startswith("SASL_"):
        if settings.kafka_username is None or settings.kafka_password is None:
            raise ConfigurationError(f"{protocol} needs EXITFLOW_KAFKA_USERNAME and EXITFLOW_KAFKA_PASSWORD")
        config |= {
            "sasl.mechanism": settings.kafka_sasl_mechanism,
            "sasl.username": settings.kafka_username,
            "sasl.password": settings.kafka_password.get_secret_value(),
        }
    return config


def open_producer(settings: Settings, **overrides: Any) -> Producer:
    """Return an idempotent producer with the partitioning of the Java clients; it retries until stopped."""
    config = {**producer_config(settings), **FATAL_ALONE}
    return Producer({**config, **{name.replace("_", "."): value for name, value in overrides.items()}})


def producer_config(settings: Settings) -> dict[str, Any]:
    """Return the configuration common to all producers, for those with callbacks or extra settings."""
    return {
        **client_config(settings),
        "enable.idempotence": True,
        # With more than one request in flight librdkafka takes the success of a later batch for an earlier one's
        # (IMPLICITACK). A broker without a record of the producer yet accepts any first sequence number. So on a
        # new topic, a batch refused with NOT_LEADER was reported as delivered, and lost.
        "max.in.flight.requests.per.connection": 1,
        "acks": "all",
        "partitioner": "murmur2_random",
        "compression.type": "lz4",
        "linger.ms": 1,
    }


def open_consumer(settings: Settings, group: str, **overrides: Any) -> Consumer:
    """Return a consumer starting at the earliest record; it never commits by itself."""
    config = {
        **client_config(settings),
        "group.id": f"{settings.kafka_consumer_prefix}-{group}",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "session.timeout.ms": int(settings.kafka_session_timeout_s * 1000),
        "heartbeat.interval.ms": int(settings.kafka_session_timeout_s * 1000 / 3),
        # The broker answers at once when there is a record; an answer without any costs both sides. A newly assigned
        # partition waits for it, if no record comes on the others.
        "fetch.wait.max.ms": 500,
    }
    config |= {name.replace("_", "."): value for name, value in overrides.items()}
    return Consumer(config, logger=CLIENT_LOG)


def open_admin(settings: Settings) -> AdminClient:
    """Return an admin client."""
    return AdminClient({**client_config(settings), **FATAL_ALONE})


def partition_counts(admin: AdminClient, topics: list[str]) -> dict[str, int]:
    """Return the number of partitions of each topic.

    Raises
    ------
    ConfigurationError
        One of them does not exist.
    Unavailable
        The cluster cannot say now, e.g. while a topic has no leader.
    KafkaException
        It does not answer.
    """
    metadata = admin.list_topics(timeout=ADMIN_TIMEOUT_S).topics
    errors = {name: metadata[name].error for name in topics if name in metadata}
    missing = [name for name in topics if name not in errors or _is_unknown(errors[name])]
    if missing:
        raise ConfigurationError(f"no such topics: {', '.join(missing)}; `exitflow topics create` makes them")
    passing = [f"{name}: {error.str()}" for name, error in errors.items() if error is not None]
    if passing:
        raise Unavailable(f"Kafka does not tell the partitions of {'; '.join(passing)}")
    return {name: len(metadata[name].partitions) for name in topics}


def _is_unknown(error: KafkaError | None) -> bool:
    return error is not None and error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART


def murmur2_partition(key: bytes, partitions: int) -> int:
    """Return the partition of a key as chosen by Kafka's Java clients and our producers.

    Computed by librdkafka without a topic or client: 32-bit MurmurHash2 with Kafka's seed
    (org.apache.kafka.common.utils.Utils.murmur2), sign bit cleared, modulo the number of partitions.
    """
    return int(_MURMUR2(None, key, len(key), partitions, None, None))


def _librdkafka_partitioner() -> Callable[..., int]:
    # The library linked with confluent_kafka; symbols of its own dependencies are found through it.
    function = ctypes.PyDLL(cimpl.__file__).rd_kafka_msg_partitioner_murmur2
    function.restype = ctypes.c_int32
    pointer, length, count = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int32
    function.argtypes = [pointer, ctypes.c_char_p, length, count, pointer, pointer]
    return function


_MURMUR2 = _librdkafka_partitioner()


@lru_cache(maxsize=KEYS_REMEMBERED)
def home_partition(key: str, partitions: int) -> int:
    """Return the partition of a key; cached for repeated keys."""
    return murmur2_partition(key.encode(), partitions)


def headers_of(message: Message) -> dict[str, str]:
    """Return a record's headers as text; the last of a repeated name wins, invalid UTF-8 is replaced."""
    return {
        name: value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
        for name, value in raw_headers(message)
    }


def raw_headers(message: Message) -> Headers:
    """Return a record's headers as bytes; none if a name is not UTF-8: the client cannot represent it."""
    try:
        return [*(message.headers() or [])]
    except (UnicodeDecodeError, SystemError):
        return []


def arrived_ms(message: Message, now_ms: int) -> int:
    """Return a record's arrival in milliseconds since 1970: at the log if known, else now.

    Only topics with ``message.timestamp.type=LogAppendTime`` record the arrival. On others the timestamp is the
    producer's, from a clock not comparable with any other.
    """
    kind, stamp_ms = message.timestamp()
    return stamp_ms if kind == TIMESTAMP_LOG_APPEND_TIME else now_ms


def hand_over(producer: Producer, topic: str, while_full: Callable[[], None] = lambda: None, **record: Any) -> None:
    """Hand a record to a producer, as `Producer.produce` takes it; while the queue is full, serve reports and wait.

    Each wait is followed by a call of `while_full`; if it raises, the record is not sent.
    """
    while True:
        try:
            producer.produce(topic, **record)
        except BufferError:
            producer.poll(QUEUE_WAIT_S)
            while_full()
        else:
            return


def flush_or_fail(producer: Producer, timeout_s: float = FLUSH_TIMEOUT_S) -> None:
    """Return once everything produced is acknowledged.

    Raises
    ------
    Unavailable
        It was not within `timeout_s` seconds.
    """
    left = producer.flush(timeout_s)
    if left:
        raise Unavailable(f"Kafka has not acknowledged {plural(left, 'record')} within {timeout_s} s")
