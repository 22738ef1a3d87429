"""LogIdentityRepository: which Kafka log the stored offsets belong to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text

REMEMBER = text("""
-- log_identity.remember
INSERT INTO log_identity (topic, cluster_id, topic_id)
SELECT * FROM unnest(CAST(:topics AS text[]), CAST(:cluster_ids AS text[]), CAST(:topic_ids AS text[]))
ON CONFLICT (topic) DO NOTHING
""")
KNOWN = text("SELECT topic, cluster_id, topic_id FROM log_identity WHERE topic = ANY (:topics)")
FORGET = text("DELETE FROM log_identity WHERE topic = ANY (:topics)")


@dataclass(frozen=True, slots=True)
class LogIdentity:
    """A topic of a cluster; a topic that was deleted and made again has another id."""

    cluster_id: str
    topic_id: str


class LogIdentityRepository:
    """Identities of topics, by their names on the cluster."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def remember(self, identities: Mapping[str, LogIdentity]) -> dict[str, LogIdentity]:
        """Store the identities of topics that have none yet; what is stored of all of them afterwards."""
        names = sorted(identities)
        self._connection.execute(
            REMEMBER,
            {
                "topics": names,
                "cluster_ids": [identities[name].cluster_id for name in names],
                "topic_ids": [identities[name].topic_id for name in names],
            },
        )
        rows = self._connection.execute(KNOWN, {"topics": names})
        return {row.topic: LogIdentity(row.cluster_id, row.topic_id) for row in rows}

    def forget(self, topics: list[str]) -> None:
        """Let the next worker store what it finds."""
        self._connection.execute(FORGET, {"topics": topics})
