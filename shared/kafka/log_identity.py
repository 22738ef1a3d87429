"""LogIdentityRepository: the Kafka log read by a consumer, and its partition count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

REMEMBER = text("""
-- log_identity.remember: rows of before the number of partitions was kept get it here
INSERT INTO log_identity AS known (topic, cluster_id, topic_id, partitions)
SELECT * FROM unnest(CAST(:topics AS text[]), CAST(:cluster_ids AS text[]), CAST(:topic_ids AS text[]),
                     CAST(:partitions AS integer[])) AS t (topic) ORDER BY topic
ON CONFLICT (topic) DO UPDATE SET partitions = EXCLUDED.partitions WHERE known.partitions IS NULL
""")
REPLACE = text("""
-- log_identity.replace
INSERT INTO log_identity (topic, cluster_id, topic_id, partitions)
SELECT * FROM unnest(CAST(:topics AS text[]), CAST(:cluster_ids AS text[]), CAST(:topic_ids AS text[]),
                     CAST(:partitions AS integer[])) AS t (topic) ORDER BY topic
ON CONFLICT (topic) DO UPDATE
   SET cluster_id = EXCLUDED.cluster_id, topic_id = EXCLUDED.topic_id, partitions = EXCLUDED.partitions,
       seen_at = clock_timestamp()
""")
KNOWN = text("""
-- log_identity.known
SELECT topic, cluster_id, topic_id, partitions FROM log_identity WHERE topic = ANY (:topics)
""")
FORGET = text("DELETE FROM log_identity WHERE topic = ANY (:topics)")


@dataclass(frozen=True, slots=True)
class LogIdentity:
    """Identity of a topic; a recreated topic has another id, a grown one more partitions."""

    cluster_id: str
    topic_id: str
    partitions: int


class LogIdentityRepository:
    """Identities of topics, by their names on the cluster."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def known(self, topics: Sequence[str]) -> dict[str, LogIdentity]:
        """Return the stored identities of these topics."""
        rows = self._connection.execute(KNOWN, {"topics": list(topics)})
        return {row.topic: LogIdentity(row.cluster_id, row.topic_id, row.partitions or 0) for row in rows}

    def remember(self, identities: Mapping[str, LogIdentity]) -> dict[str, LogIdentity]:
        """Store identities of topics without one; return the stored identities of all given topics."""
        self._connection.execute(REMEMBER, _columns(identities))
        return self.known(list(identities))

    def replace(self, identities: Mapping[str, LogIdentity]) -> None:
        """Replace the stored identities."""
        self._connection.execute(REPLACE, _columns(identities))

    def forget(self, topics: Sequence[str]) -> None:
        """Delete the stored identities, so the next worker stores the current ones."""
        self._connection.execute(FORGET, {"topics": list(topics)})


def _columns(identities: Mapping[str, LogIdentity]) -> dict[str, list[str] | list[int]]:
    names = sorted(identities)
    return {
        "topics": names,
        "cluster_ids": [identities[name].cluster_id for name in names],
        "topic_ids": [identities[name].topic_id for name in names],
        "partitions": [identities[name].partitions for name in names],
    }
