"""The feed: ticks and entries from Kafka into the ledger, from the offsets that the ledger holds."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing

from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, Message, TopicPartition

from services.paper_broker.broker import PaperBroker
from services.paper_broker.feed_records import FeedRecord, read_batch
from services.paper_broker.ledger import Ledger
from shared.contracts.topics import MARKET_TICKS, TRADES, TopicNames
from shared.errors import ExitflowError
from shared.health import Health
from shared.kafka import ADMIN_TIMEOUT_S, headers_of, open_admin, open_consumer, partition_counts
from shared.process import Stop
from shared.settings import Settings
from shared.telemetry import counter

log = logging.getLogger(__name__)

CONDITION = "feed"
BATCH_SIZE = 2000
POLL_S = 0.05
RETRY_S = 1.0

RECORDS = counter("paper_broker_records", "records read from Kafka", "topic")
MALFORMED = counter("paper_broker_malformed_records", "records skipped because they could not be read")


class MarketFeed:
    """Reads every partition of the tick and trade topics, without a consumer group.

    The offsets live in the ledger and move in the transaction that books what the records before them said:
    each record takes effect once, whatever the process dies of.
    """

    def __init__(self, settings: Settings, ledger: Ledger, broker: PaperBroker, health: Health) -> None:
        self._settings = settings
        self._topics = TopicNames(settings.kafka_topic_prefix)
        self._ledger = ledger
        self._broker = broker
        self._health = health

    def run(self, stop: Stop) -> None:
        """Feed until told to stop; what fails is told to `health` and tried again."""
        while not stop.is_set():
            try:
                self._feed(stop)
            except (ExitflowError, KafkaException, sqlite3.OperationalError) as error:
                log.warning("feed interrupted: %s", error)
                self._health.problem(CONDITION, str(error))
                stop.wait(RETRY_S)

    def _feed(self, stop: Stop) -> None:
        with closing(open_consumer(self._settings, "paper-broker")) as consumer:
            consumer.assign(self._assignment())
            while not stop.is_set():
                self.take(consumer.consume(BATCH_SIZE, POLL_S))
                self._health.fine(CONDITION)

    def take(self, messages: list[Message]) -> None:
        """Book what these messages say, and their offsets, in one transaction.

        Raises
        ------
        KafkaException
            The cluster reported an error that does not pass by itself.
        """
        records = [self._record(message) for message in messages if _carries_record(message)]
        if not records:
            return
        batch = read_batch(records)
        self._broker.take_market(batch.ticks, batch.entries, batch.offsets)
        for record in records:
            RECORDS.labels(record.topic).inc()
        if batch.malformed:
            MALFORMED.inc(batch.malformed)
            log.warning("%d malformed records skipped", batch.malformed)

    def _record(self, message: Message) -> FeedRecord:
        name = message.topic() or ""
        return FeedRecord(
            topic=self._topics.logical(name),
            cluster_topic=name,
            partition=message.partition() or 0,
            offset=message.offset() or 0,
            event_type=headers_of(message).get("ce_type", ""),
            value=message.value(),
        )

    def _assignment(self) -> list[TopicPartition]:
        names = [self._topics.on_cluster(topic) for topic in (MARKET_TICKS, TRADES)]
        admin = open_admin(self._settings)
        counts = partition_counts(admin, names)
        known = self._offsets_in(str(admin.list_topics(timeout=ADMIN_TIMEOUT_S).cluster_id))
        return [
            TopicPartition(name, partition, known.get((name, partition), OFFSET_BEGINNING))
            for name, count in counts.items()
            for partition in range(count)
        ]

    def _offsets_in(self, cluster_id: str) -> dict[tuple[str, int], int]:
        """The stored offsets, or none if they belong to another cluster.

        Reading a log anew is harmless: an entry is booked once by its trade's id, an old tick moves nothing.
        """
        with self._ledger.write() as books:
            known = books.market.log_identity()
            if known != cluster_id:
                if known is not None:
                    log.warning("the Kafka cluster is another one: the feed starts from its beginning")
                books.market.begin_log(cluster_id)
            return books.market.offsets()


def _carries_record(message: Message) -> bool:
    error = message.error()
    if error is None:
        return True
    if error.retriable() or error.code() in _PASSING:
        log.info("Kafka: %s", error.str())
        return False
    raise KafkaException(error)


_PASSING = (KafkaError._PARTITION_EOF, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN)
