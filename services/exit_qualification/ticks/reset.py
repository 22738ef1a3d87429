"""Implementation of `exitflow ticks reset` and `exitflow ticks rehome`, for operators after a topic changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from services.exit_qualification.storage.tick_checkpoints import TickCheckpointRepository
from services.exit_qualification.ticks.rehoming import Rehoming, move_symbols
from services.exit_qualification.ticks.topic_identity import RESET_COMMAND, identities_of, layout_of
from shared.contracts.topics import MARKET_TICKS, TRADES, TopicNames
from shared.errors import LogIdentityChanged
from shared.kafka.clients import open_admin
from shared.kafka.log_identity import LogIdentityRepository
from shared.kafka.topics import require_topics
from shared.postgres.audit import Act, audit
from shared.postgres.connection_limits import TOOLS
from shared.postgres.engine import open_engine
from shared.settings import Settings

RESET = "ticks.reset"
REHOME = "ticks.rehome"


def reset(settings: Settings, *, actor: str = "cli", reason: str = "the log was replaced") -> int:
    """Forget the stored offsets and log identity; return the number of partitions to start again. Audited.

    Running workers are fenced and resume at the beginning. Trades and symbols remain: a known trade is unchanged, and a
    tick evaluated before is stale and fires nothing again.
    """
    names = _names(settings)
    with _database(settings, RESET) as database, database.begin() as connection:
        partitions = TickCheckpointRepository(connection).reset()
        LogIdentityRepository(connection).forget(names)
        after = {"partitions": partitions, "topics": names}
        audit(connection, Act(actor, reason), RESET, "tick_partitions", after=after)
    return partitions


def rehome(settings: Settings, *, actor: str, reason: str, dry_run: bool = False) -> Rehoming:
    """Move open trades and symbols to their current home partitions; return the counts. Audited.

    Running workers are fenced and join again under the new layout. A dry run changes nothing.

    Raises
    ------
    LogIdentityChanged
        The topic was replaced; reset it first.
    ConfigurationError
        The topics have different numbers of partitions.
    """
    admin, names = open_admin(settings), _names(settings)
    states = require_topics(admin, names)
    layout, identities = layout_of(states, *names), identities_of(admin, states)
    with _database(settings, REHOME) as database, database.connect() as connection:
        known = LogIdentityRepository(connection).known(names)
        for name, each in known.items():
            if each.topic_id != identities[name].topic_id:
                raise LogIdentityChanged(f"{name} was replaced: run `{RESET_COMMAND}` first")
        moved = move_symbols(connection, layout.partitions)
        if dry_run:
            connection.rollback()
            return moved
        LogIdentityRepository(connection).replace(identities)
        before = {name: each.partitions for name, each in known.items()}
        after = {"partitions": moved.partitions, "trades": moved.trades, "symbols": moved.symbols}
        audit(connection, Act(actor, reason), REHOME, "open_trades", before=before, after=after)
        connection.commit()
    return moved


def _names(settings: Settings) -> list[str]:
    topics = TopicNames(settings.kafka_topic_prefix)
    return [topics.on_cluster(topic) for topic in (MARKET_TICKS, TRADES)]


@contextmanager
def _database(settings: Settings, application: str) -> Iterator[Engine]:
    database = open_engine(
        settings.require_exit_database(), "exit_qualification", application=application, limits=TOOLS
    )
    try:
        yield database
    finally:
        database.dispose()
