"""Identity of the log of intent events read by trade-fills, and the gaps in it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from sqlalchemy import Engine

from services.trade_management.report_judging import CONSUMER
from shared.kafka.clients import open_admin
from shared.kafka.consumer_gaps import ANY_PARTITION, ConsumerGaps, Gap, count, resume
from shared.kafka.log_identity import LogIdentity, LogIdentityRepository
from shared.kafka.topic_watch import Change, TopicChange
from shared.kafka.topics import Bounds, Partition, TopicState, cluster_id_of, require_topics
from shared.settings import Settings

log = logging.getLogger(__name__)


class IntentLog:
    """Remembers the identity of the log in the database, and compares it whenever the group is joined."""

    def __init__(self, settings: Settings, database: Engine, topic: str) -> None:
        self._admin = open_admin(settings)
        self._database = database
        self._topic = topic
        self._topics: dict[str, TopicState] = {}
        self._is_new = False
        self._unread = 0
        self._beyond_end: dict[Partition, str] = {}

    def begin(self) -> dict[str, TopicState]:
        """Return the current topic; store a gap if it differs from the one read before.

        Raises
        ------
        ConfigurationError
            It does not exist.
        KafkaException, SQLAlchemyError
            The cluster or the database does not answer.
        """
        self._topics = require_topics(self._admin, [self._topic])
        state = self._topics[self._topic]
        found = LogIdentity(cluster_id_of(self._admin), state.topic_id, state.partitions)
        with self._database.begin() as connection:
            identities = LogIdentityRepository(connection)
            known = identities.known([self._topic]).get(self._topic)
            self._is_new = known is None or known.topic_id != found.topic_id
            gaps = [] if known is None or not self._is_new else [self._replaced(known)]
            if known != found:
                identities.replace({self._topic: found})
            ConsumerGaps(connection, CONSUMER).record(gaps)
        self._report(gaps)
        return self._topics

    def changed(self, changes: Sequence[TopicChange]) -> None:
        """Keep the watch's knowledge of the earlier topic."""
        for change in changes:
            self._unread = max(self._unread, change.missed if change.kind is not Change.REMOVED else 0)
            if change.kind is Change.BEYOND_END and change.partition is not None:
                self._beyond_end[(change.topic, change.partition)] = self._topics[change.topic].topic_id

    def resume(
        self, stored: Mapping[Partition, int | None], bounds: Mapping[Partition, Bounds]
    ) -> dict[Partition, int]:
        """Return the start offset of each partition, after storing gaps.

        Raises
        ------
        SQLAlchemyError
            The database does not answer.
        """
        topic_ids = {topic: state.topic_id for topic, state in self._topics.items()}
        cut = {each for each, topic_id in self._beyond_end.items() if topic_ids.get(each[0]) == topic_id}
        lost = [
            Gap(topic, topic_ids[topic], partition, Change.BEYOND_END, bounds[topic, partition].end, 0)
            for topic, partition in sorted(cut & set(stored))
        ]
        starts = {each: None if each in cut else at for each, at in stored.items()}
        positions, gaps = resume(starts, bounds, topic_ids, is_new=self._is_new)
        gaps += lost
        if gaps:
            with self._database.begin() as connection:
                ConsumerGaps(connection, CONSUMER).record(gaps)
        self._report(gaps)
        self._beyond_end = {each: topic_id for each, topic_id in self._beyond_end.items() if each not in stored}
        return positions

    def _replaced(self, known: LogIdentity) -> Gap:
        unread, self._unread = self._unread, 0
        return Gap(self._topic, known.topic_id, ANY_PARTITION, Change.REPLACED, 0, unread)

    def _report(self, gaps: Sequence[Gap]) -> None:
        count(gaps)
        for gap in gaps:
            log.error(
                "%s partition %d: %s at offset %d, %d records missed; continuing with the next available record",
                gap.topic, gap.partition, gap.kind.value, gap.first_offset, gap.missed,
            )  # fmt: skip
