"""What `exitflow ticks reset` does: read both topics from their beginning, after their log was replaced."""

from __future__ import annotations

from services.exit_qualification.storage.log_identity import LogIdentityRepository
from services.exit_qualification.storage.tick_checkpoints import TickCheckpointRepository
from shared.audit import Act, audit
from shared.contracts.topics import MARKET_TICKS, TRADES, TopicNames
from shared.db import open_engine
from shared.settings import Settings

ACTION = "ticks.reset"


def reset(settings: Settings, *, actor: str = "cli", reason: str = "the log was replaced") -> int:
    """Forget the offsets and which log they belong to; how many partitions start anew. Audited.

    Workers at work are fenced and read on from the beginning. Trades and symbols are kept: a trade that is known
    stays as it is, and a tick that was judged before is stale and fires nothing again.
    """
    topics = TopicNames(settings.kafka_topic_prefix)
    names = [topics.on_cluster(topic) for topic in (MARKET_TICKS, TRADES)]
    database = open_engine(settings.require_exit_database(), "exit_qualification", application=ACTION, pool_size=1)
    try:
        with database.begin() as connection:
            partitions = TickCheckpointRepository(connection).reset()
            LogIdentityRepository(connection).forget(names)
            after = {"partitions": partitions, "topics": names}
            audit(connection, Act(actor, reason), ACTION, "tick_partitions", after=after)
    finally:
        database.dispose()
    return partitions
