"""Market feed: stores ticks and entries from Kafka in the ledger, starting at the ledger's offsets."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from confluent_kafka import Message

from services.paper_broker.broker import PaperBroker
from services.paper_broker.feed_records import BOOKED, FeedRecord, read_batch
from services.paper_broker.ledger import Ledger
from shared.clock import Clock, SystemClock
from shared.contracts.topics import MARKET_TICKS, TRADES, TopicNames
from shared.errors import MalformedMessage
from shared.instants import epoch_ms
from shared.kafka.clients import FIXED_FETCH_WAIT_MS, arrived_ms, headers_of, open_admin
from shared.kafka.consumer_gaps import count, resume
from shared.kafka.consuming import ConsumerLoop, Step, WatchedConsumer, offset_of, partition_of
from shared.kafka.dead_letters import LONGEST_REASON
from shared.kafka.record_faults import REFUSED_BY_DATABASE, Fault, fault_of, read_record
from shared.kafka.topic_watch import Change, TopicsChanged
from shared.kafka.topics import Partition, TopicState, bounds_of, cluster_id_of, require_topics
from shared.outbox.signatures import trade_event_keys
from shared.runtime.health import Health
from shared.runtime.stopping import Stop
from shared.runtime.telemetry import counter
from shared.settings import Settings

log = logging.getLogger(__name__)

CONDITION = "feed"
BATCH_SIZE = 2000
POLL_S = 0.5
BATCH_S = 0.01
"""Pause after a batch: a single record is booked at once, and a stream of them in batches."""

RECORDS = counter("paper_broker_records", "records read from Kafka", "topic")
MALFORMED = counter("paper_broker_malformed_records", "records skipped, by reason", "topic", "code")


class MarketFeed:
    """Reads every partition of the tick and trade topics, without a consumer group.

    Offsets move in the same ledger transaction as the bookings of the records before them: each takes effect once.
    A replaced topic is read from its beginning. This is harmless: an entry is booked once per trade id, and an old
    tick changes nothing.
    """

    def __init__(
        self, settings: Settings, ledger: Ledger, broker: PaperBroker, health: Health, clock: Clock | None = None
    ) -> None:
        self._settings = settings
        self._trusted = trade_event_keys(settings)
        self._topics = TopicNames(settings.kafka_topic_prefix)
        self._ledger = ledger
        self._broker = broker
        self._health = health
        self._clock = clock or SystemClock()
        self._admin = open_admin(settings)
        self._reread: set[str] = set()

    def run(self, stop: Stop) -> None:
        """Consume records until stopped."""
        ConsumerLoop(self._health, self._clock, self._settings.kafka_watch_s, (sqlite3.OperationalError,)).run(
            lambda: self._join(stop), stop, CONDITION
        )

    @contextmanager
    def _join(self, stop: Stop) -> Iterator[Step]:
        topics = require_topics(self._admin, [self._topics.on_cluster(topic) for topic in (MARKET_TICKS, TRADES)])
        positions = self._positions(topics)
        with WatchedConsumer(
            self._settings,
            "paper-broker",
            topics,
            self._health,
            self._clock,
            fetch_wait_max_ms=str(FIXED_FETCH_WAIT_MS),
        ) as consumer:
            consumer.assign(positions)
            try:
                yield lambda: self._step(consumer, stop)
            except TopicsChanged as error:
                self._reread |= {change.topic for change in error.changes if change.kind is Change.BEYOND_END}
                raise

    def _step(self, consumer: WatchedConsumer, stop: Stop) -> None:
        records = consumer.take(BATCH_SIZE, POLL_S)
        self.take(records)
        self._health.fine(CONDITION)
        if records:
            stop.wait(BATCH_S)

    def _positions(self, topics: dict[str, TopicState]) -> dict[Partition, int]:
        """Return the start offset of each partition; count records removed before they were read."""
        cluster_id = cluster_id_of(self._admin)
        topic_ids = {name: state.topic_id for name, state in topics.items()}
        with self._ledger.write() as books:
            for name, topic_id in topic_ids.items():
                if books.market.begin_log(name, f"{cluster_id}/{topic_id}", again=name in self._reread):
                    log.warning("%s was replaced; reading it from the beginning", name)
            known = books.market.offsets()
        self._reread.clear()
        partitions = [(name, number) for name, state in topics.items() for number in range(state.partitions)]
        bounds = bounds_of(self._admin, partitions)
        positions, gaps = resume({each: known.get(each) for each in partitions}, bounds, topic_ids, is_new=True)
        count(gaps)
        for gap in gaps:
            log.error(
                "%s partition %d: Kafka removed %d records before they were read", gap.topic, gap.partition, gap.missed
            )
        return positions

    def take(self, messages: list[Message]) -> None:
        """Book these records and their offsets in one transaction."""
        records = [self._record(message) for message in messages]
        if not records:
            return
        self._book(records)
        for record in records:
            RECORDS.labels(record.topic).inc()

    def _book(self, records: Sequence[FeedRecord]) -> None:
        """Book records in one transaction; if it fails, book each one separately."""
        batch = read_batch(records)
        try:
            self._broker.take_market(batch.ticks, batch.entries, batch.offsets)
        except Exception as error:
            fault = _fault_of(error)
            if fault is None:
                raise
            if len(records) > 1:
                for record in records:
                    self._book([record])
                return
            self._broker.take_market([], [], batch.offsets)
            batch.refused = [(records[0], fault)]
        for record, why in batch.refused:
            MALFORMED.labels(record.topic, why.code).inc()
            where = f"{record.cluster_topic}-{record.partition}@{record.offset}"
            log.warning("skipped %s: %s: %s", where, why.code, why.reason[:LONGEST_REASON])

    def _record(self, message: Message) -> FeedRecord:
        name, partition = partition_of(message)
        headers = headers_of(message)
        event_type = headers.get("ce_type", "")
        return FeedRecord(
            arrived_ms=arrived_ms(message, epoch_ms(self._clock.now())),
            topic=self._topics.logical(name),
            cluster_topic=name,
            partition=partition,
            offset=offset_of(message),
            event_type=event_type,
            value=message.value(),
            is_trusted=event_type not in BOOKED or self._is_signed(message, headers),
        )

    def _is_signed(self, message: Message, headers: Mapping[str, str]) -> bool:
        try:
            read_record(self._trusted.verify, message, headers)
        except MalformedMessage:
            return False
        return True


def _fault_of(error: Exception) -> Fault | None:
    if isinstance(error, sqlite3.IntegrityError | sqlite3.DataError):
        return Fault(REFUSED_BY_DATABASE, str(error))
    return None if isinstance(error, sqlite3.Error) else fault_of(error)
