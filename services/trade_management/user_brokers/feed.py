"""Feed of user brokers: projects operations.controls.v1."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from confluent_kafka import Message
from sqlalchemy import Engine

from services.trade_management.metrics import DEAD_LETTERS
from services.trade_management.storage.user_brokers import UserBrokerRepository
from shared.clock import Clock
from shared.contracts.controls import UserBrokerChanged
from shared.contracts.events import parse_event
from shared.contracts.topics import OPERATIONS_CONTROLS, TopicNames
from shared.errors import MalformedMessage
from shared.kafka.clients import FIXED_FETCH_WAIT_MS, headers_of, open_admin
from shared.kafka.consuming import ConsumerLoop, Step, WatchedConsumer
from shared.kafka.dead_letters import DeadLetters
from shared.kafka.record_faults import read_record
from shared.kafka.topics import bounds_of, require_topics
from shared.outbox.signatures import TrustedKeys
from shared.postgres.failures import DATABASE_FAILURES
from shared.runtime.health import Health, PartOfHealth
from shared.runtime.stopping import Stop
from shared.settings import Settings

log = logging.getLogger(__name__)

GROUP = "trade-fills-user-brokers"
CONDITION = "user_brokers"
"""Health condition of the loop; problems of its topic use this name and ``_kafka``."""

BATCH_RECORDS = 500
POLL_S = 0.5


class UserBrokerFeed:
    """Reads the topic from its beginning at every start: it is short, and every event carries the whole state.

    It needs no stored offsets, and an empty projection is filled again. Every copy of the process reads all
    partitions; an older event changes nothing.
    """

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        dead_letters: DeadLetters,
        trusted: TrustedKeys,
        health: Health,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._dead_letters = dead_letters
        self._trusted = trusted
        self._health = PartOfHealth(health, CONDITION)
        self._clock = clock
        self._topic = TopicNames(settings.kafka_topic_prefix).on_cluster(OPERATIONS_CONTROLS)

    def run(self, stop: Stop) -> None:
        """Follow the topic until `stop` is set."""
        loop = ConsumerLoop(self._health, self._clock, self._settings.kafka_watch_s, DATABASE_FAILURES)
        loop.run(self._join, stop, CONDITION)

    @contextmanager
    def _join(self) -> Iterator[Step]:
        admin = open_admin(self._settings)
        topics = require_topics(admin, [self._topic])
        partitions = [(self._topic, number) for number in range(topics[self._topic].partitions)]
        positions = {each: bounds.beginning for each, bounds in bounds_of(admin, partitions).items()}
        with WatchedConsumer(
            self._settings,
            GROUP,
            topics,
            self._health,
            self._clock,
            fetch_wait_max_ms=str(FIXED_FETCH_WAIT_MS),
        ) as consumer:
            consumer.assign(positions)
            yield lambda: self._step(consumer)

    def _step(self, consumer: WatchedConsumer) -> None:
        self._health.alive(CONDITION)
        self.apply(consumer.take(BATCH_RECORDS, POLL_S))
        self._health.fine(CONDITION)

    def apply(self, records: Sequence[Message]) -> None:
        """Apply user broker records; send unreadable ones to the dead letters."""
        if not records:
            return
        events = [event for record in records if (event := self._read(record)) is not None]
        self._dead_letters.flush()
        with self._engine.begin() as connection:
            UserBrokerRepository(connection).apply(events)

    def _read(self, record: Message) -> UserBrokerChanged | None:
        """Return the event of a record; None for other types and for dead letters."""
        try:
            return read_record(read_user_broker, record, self._trusted)
        except MalformedMessage as error:
            DEAD_LETTERS.labels(error.code).inc()
            self._dead_letters.put(record, error.code, str(error))
            return None


def read_user_broker(record: Message, trusted: TrustedKeys) -> UserBrokerChanged | None:
    """Return the event of a record; None for another type, meant for other readers.

    Raises
    ------
    MalformedMessage
        The value is not the event it claims to be.
    UntrustedEvent
        Exit qualification did not sign it.
    """
    headers = headers_of(record)
    event_type = headers.get("ce_type")
    if event_type != UserBrokerChanged.event_type():
        return None
    event = parse_event(event_type, record.value())
    assert isinstance(event, UserBrokerChanged)
    trusted.verify(record, headers)
    return event
