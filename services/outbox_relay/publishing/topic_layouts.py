"""TopicLayouts: fixed partition of each key, even after a topic gets more partitions.

Kafka cannot move records. If a key changed its partition, a consumer of several partitions could read its later events
first. The partition count is therefore stored with the first event of a topic and used by every relay. Only an operator
changes it, once consumers have read all existing records (`exitflow topics adopt`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from services.outbox_relay.database.connection import Connection
from shared.clock import Clock
from shared.kafka.clients import home_partition
from shared.kafka.topics import ANSWER_S, TopicState
from shared.runtime.telemetry import gauge

log = logging.getLogger(__name__)

ANY_PARTITION = -1
"""The producer's partitioner chooses."""

LOOK_S = 1.0
"""How often the stored layouts are read again, and the cluster is asked about topics without one."""

ASK_S = 5.0
"""How often the cluster is asked about topics with a stored layout."""

UNUSED = gauge("outbox_topic_unused_partitions", "Partitions of a topic without any key", "outbox", "topic")

KNOWN = "SELECT topic, topic_id, partitions FROM outbox_topic"
PIN = """
INSERT INTO outbox_topic (topic, topic_id, partitions) VALUES (%(topic)s, %(topic_id)s, %(partitions)s)
ON CONFLICT (topic) DO NOTHING
"""
REPLACE = """
UPDATE outbox_topic SET topic_id = %(topic_id)s, partitions = %(partitions)s, updated_at = clock_timestamp()
 WHERE topic = %(topic)s AND topic_id = %(before)s
"""

PartitionOf = Callable[[str, str], int]


def any_partition(_topic: str, _key: str) -> int:
    """Leave the choice to the producer's partitioner."""
    return ANY_PARTITION


@dataclass(frozen=True, slots=True)
class _Question:
    topics: frozenset[str]
    answers: dict[str, Future[Any]]


class TopicLayouts:
    """One outbox's topic layouts during a session. Never waits for Kafka.

    A topic without a stored layout uses the producer's partitioner: it computes the same partition from the current
    count, until the count is known and stored.
    """

    def __init__(self, outbox: str, connection: Connection, admin: AdminClient, clock: Clock) -> None:
        self._outbox = outbox
        self._connection = connection
        self._admin = admin
        self._clock = clock
        self._stored: dict[str, TopicState] = {}
        self._in_use: dict[str, int] = {}
        self._asked: set[str] = set()
        self._question: _Question | None = None
        self._told: dict[str, int] = {}
        self._next_s = 0.0
        self._ask_again_s = 0.0

    def begin(self) -> None:
        """Load the stored layouts.

        Raises
        ------
        psycopg.Error
            The database does not answer.
        """
        self._read()
        self.switch()

    def partition_of(self, topic: str, key: str) -> int:
        """Return the partition of a key; `ANY_PARTITION` while no layout of the topic is stored."""
        count = self._in_use.get(topic)
        if count is None:
            self._asked.add(topic)
            return ANY_PARTITION
        return home_partition(key, count)

    def is_switching(self) -> bool:
        """Return True if stored layouts differ from those in use: send nothing until all in flight has arrived."""
        stored = self._stored.items()
        return any(self._in_use.get(topic, state.partitions) != state.partitions for topic, state in stored)

    def switch(self) -> None:
        """Use the stored layouts; nothing may be in flight."""
        self._in_use = {topic: state.partitions for topic, state in self._stored.items()}

    def tend(self) -> None:
        """Take the cluster's answers, read the stored layouts again and ask the cluster again, each if it is time to.

        Raises
        ------
        psycopg.Error
            The database does not answer.
        """
        self._take_answers()
        now = self._clock.monotonic()
        if now < self._next_s:
            return
        self._next_s = now + LOOK_S
        self._read()
        if self._asked or now >= self._ask_again_s:
            self._ask_again_s = now + ASK_S
            self._ask()

    def _ask(self) -> None:
        topics = frozenset(self._stored.keys() | self._asked)
        if topics and self._question is None:
            answers = self._admin.describe_topics(TopicCollection(sorted(topics)), request_timeout=ANSWER_S)
            self._question = _Question(topics, answers)

    def _read(self) -> None:
        rows = self._connection.execute(KNOWN).fetchall()
        self._stored = {topic: TopicState(topic_id, partitions) for topic, topic_id, partitions in rows}
        # A topic new here is used as stored from its next event on: so far the same partition was computed.
        for topic in self._stored.keys() - self._in_use.keys():
            self._in_use[topic] = self._stored[topic].partitions

    def _take_answers(self) -> None:
        if self._question is None or not all(answer.done() for answer in self._question.answers.values()):
            return
        answers, self._question = self._question.answers, None
        for topic, answer in answers.items():
            try:
                found = answer.result()
            except KafkaException as error:
                log.debug("%s is not described: %s", topic, error)
                continue
            self._compare(topic, TopicState(str(found.topic_id), len(found.partitions)))

    def _compare(self, topic: str, found: TopicState) -> None:
        stored = self._stored.get(topic)
        values = {"topic": topic, "topic_id": found.topic_id, "partitions": found.partitions}
        if stored is None:
            self._connection.execute(PIN, values)
            self._asked.discard(topic)
            self._next_s = 0.0
        elif stored.topic_id != found.topic_id:
            # Nothing of the old topic is left, so no order can break.
            self._connection.execute(REPLACE, values | {"before": stored.topic_id})
            log.warning("%s was created again: its keys are spread over %d partitions", topic, found.partitions)
            self._next_s = 0.0
        else:
            self._tell(topic, stored.partitions, found.partitions)

    def _tell(self, topic: str, used: int, partitions: int) -> None:
        UNUSED.labels(self._outbox, topic).set(max(0, partitions - used))
        if partitions != used and self._told.get(topic) != partitions:
            log.warning(
                "%s has %d partitions, its keys stay on the first %d: run `exitflow topics adopt %s` once every reader "
                "has read its records",
                topic, partitions, used, topic,
            )  # fmt: skip
        self._told[topic] = partitions
