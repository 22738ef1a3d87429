"""Publish to Kafka and track acknowledgements."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from confluent_kafka import KafkaError, KafkaException, Producer

from services.outbox_relay.publishing.broker_answers import BrokerAnswers
from services.outbox_relay.publishing.failures import Failures, delivery_failed
from services.outbox_relay.publishing.first_records import FirstRecords
from services.outbox_relay.publishing.refusals import Refused
from services.outbox_relay.publishing.topic_layouts import PartitionOf, any_partition
from services.outbox_relay.records import ID, KEY, PAYLOAD, SHARD, TOPIC, Row, headers_of_row
from services.outbox_relay.shards.acknowledgements import OnReport, Run
from services.outbox_relay.shards.shard import Batch
from shared.clock import Clock
from shared.kafka.client_logging import CLIENT_LOG, Complaints
from shared.kafka.clients import producer_config
from shared.settings import Settings

log = logging.getLogger(__name__)

STATISTICS_MS = 2000
ASK_MS = 2000
"""A producer with nothing to send asks for the metadata of its topics so often; before its first record every 10 s."""

METADATA_AGE_MS = 900_000
MISSING_AFTER_MS = 5000
"""A topic unknown to the cluster for so long is missing."""

REPORTS_S = 5
"""Longest wait for the reports of a refused batch: at once after the refusal, on a busy machine after a second."""

QUEUE_KIB = 64 * 1024
PRODUCERS = 2
LINGER_MS = 10
"""A producer gathers the events of a partition for so long, because each request costs Kafka as much as 40 events."""

FEW_EVENTS = 64
"""So few events in flight do not linger: there is nothing to gather."""

LEAST_WAIT_S = 0.002
"""A wait for one producer: librdkafka counts in milliseconds, and its thread must wake while a flush lasts."""


class Publisher:
    """Gapless idempotent producers, one fixed for each shard; all dropped at the first failed report.

    A producer has one request in flight, and does not compress the next batch until the broker answers. A second
    producer fills the gap. A producer lingers, except while few events are in flight.

    Attributes
    ----------
    answers:
        Since when Kafka does not answer. `in_flight` also counts client callbacks, so it can shrink without an answer.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        on_refused: Callable[[KafkaError], None],
        partition_of: PartitionOf = any_partition,
    ) -> None:
        self._clock = clock
        self._partition_of = partition_of
        self._failures = Failures(on_refused)
        self._complaints = Complaints(clock)
        self.answers = BrokerAnswers(clock)
        self._producers = [self._open(settings) for _ in range(PRODUCERS)]
        self._first_records = [FirstRecords(clock) for _ in range(PRODUCERS)]

    def _open(self, settings: Settings) -> Producer:
        return Producer(
            {
                **producer_config(settings),
                "enable.gapless.guarantee": True,
                "linger.ms": LINGER_MS,
                # A stopped broker is waited for; nothing is ever given up by time.
                "message.timeout.ms": 0,
                # A topic is made by whoever runs the cluster, never by publishing to it.
                "allow.auto.create.topics": False,
                "topic.metadata.propagation.max.ms": MISSING_AFTER_MS,
                "topic.metadata.refresh.interval.ms": ASK_MS,
                # Its default follows the interval: after 6 s without an answer of the broker, topics would be unknown.
                "metadata.max.age.ms": METADATA_AGE_MS,
                "queue.buffering.max.kbytes": QUEUE_KIB // PRODUCERS,
                "statistics.interval.ms": STATISTICS_MS,
                "stats_cb": self._on_statistics,
                "error_cb": self._on_error,
            },
            logger=CLIENT_LOG,
        )

    @property
    def in_flight(self) -> int:
        """Return the number of events without a processed delivery report; pending callbacks count too."""
        return sum(map(len, self._producers))

    @property
    def is_gathering(self) -> bool:
        """Return whether so many events are in flight that producers linger."""
        return self.in_flight > FEW_EVENTS

    def send(self, batch: Batch) -> Run:
        """Produce rows in order as far as they may go now; the run holds their number, possibly zero.

        Rows wait while the producer's queue is full, or while the first record of their partition is on the way.
        """
        rows, reaches, _ = batch
        run = Run(self._failures.note_report, reaches, batch.written_at)
        sent = self._hand_over(rows, run) if rows else 0
        if sent:
            run.consists_of(sent, reaches if sent == len(rows) else reaches.up_to(rows[sent - 1][ID]))
        return run

    def _hand_over(self, rows: Sequence[Row], run: Run) -> int:
        nth = rows[0][SHARD] % PRODUCERS
        produce, first_records = self._producers[nth].produce, self._first_records[nth]
        first_records.forget_old()
        partition_of, known, reported = self._partition_of, first_records.known, run.reported
        sent = 0
        try:
            for row in rows:
                topic, key = row[TOPIC], row[KEY]
                partition = partition_of(topic, key)
                report: OnReport | None = reported
                if partition not in known[topic]:
                    report = first_records.take(topic, key, partition, reported)
                    if report is None:
                        break
                # By position: to name its arguments costs a sixth of the call.
                produce(topic, row[PAYLOAD], key, partition, report, None, 0, headers_of_row(row))
                sent += 1
        except BufferError:
            first_records.give_back(topic, key, partition)
            log.debug("the producer's queue is full")
        except KafkaException as error:
            self._failures.note_refusal(error.args[0], rows[sent])
            raise delivery_failed(error.args[0]) from error
        return sent

    def poll(self, wait_s: float = 0) -> int:
        """Process available delivery reports; if none, wait up to `wait_s` seconds for one.

        Return the number of processed callbacks: reports, statistics and errors together.

        Raises
        ------
        DeliveryFailed
            One of them was a failure.
        """
        came = self._poll_each() or (self._wait(wait_s) if wait_s else 0)
        if self._failures.first is not None:
            raise delivery_failed(self._failures.first)
        return came

    def _wait(self, wait_s: float) -> int:
        """Wait where reports may come from; with nothing in flight only statistics and complaints can come."""
        busy = [producer for producer in self._producers if len(producer)] or self._producers[:1]
        wait_for_one = self._hurry if self.in_flight and not self.is_gathering else self._poll_one
        return sum(wait_for_one(producer, max(wait_s / len(busy), LEAST_WAIT_S)) for producer in busy)

    def _hurry(self, producer: Producer, wait_s: float) -> int:
        """Send lingering records at once, and wait for their reports: librdkafka does not linger during a flush."""
        in_flight = len(producer)
        self._flush(producer, wait_s)
        return in_flight - len(producer)

    def _poll_each(self) -> int:
        return sum(self._poll_one(producer, 0) for producer in self._producers)

    def _poll_one(self, producer: Producer, wait_s: float) -> int:
        try:
            return producer.poll(wait_s)
        except KafkaException as error:
            self._failures.note(error.args[0])
            return 1

    def drain(self, limit_s: float) -> None:
        """Wait until everything is acknowledged, at most `limit_s` seconds; the rest is thrown away."""
        ends_at = self._clock.monotonic() + limit_s
        for producer in self._producers:
            self._flush(producer, max(0.0, ends_at - self._clock.monotonic()))
        self.throw_away()

    def throw_away(self) -> None:
        """Stop sending; records on the wire may still arrive. Safe to call twice."""
        for producer in self._producers:
            producer.purge()
            self._flush(producer, 0)
        # They know this publisher by its callbacks: while it knew them, only the garbage collector ended their threads.
        self._producers.clear()

    def _flush(self, producer: Producer, limit_s: float) -> None:
        """Flush, and note a failure: abandoning records in flight is a fatal error of a gapless producer."""
        try:
            producer.flush(limit_s)
        except KafkaException as error:
            self._failures.note(error.args[0])

    def refused(self) -> Refused | None:
        """Return the rejection if a record or its topic is at fault, else None.

        The producer reports its end before the reports of rejected records, so wait for those.
        """
        ends_at = self._clock.monotonic() + REPORTS_S
        self._poll_each()
        while self._failures.is_unexplained and self.in_flight and self._clock.monotonic() < ends_at:
            self._wait(REPORTS_S / 20)
        return self._failures.refused()

    def _on_statistics(self, text: str) -> None:
        self.answers.take_statistics(text, self.in_flight)

    def _on_error(self, error: KafkaError) -> None:
        self._complaints.hear(error)
        if error.fatal():
            self._failures.note(error)
