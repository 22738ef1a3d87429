"""Kafka log of the stored offsets: layout, identity, and start offsets."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from confluent_kafka.admin import AdminClient
from sqlalchemy import Connection, Engine

from services.exit_qualification.domain.checkpoint import Checkpoint
from services.exit_qualification.storage.open_trades import OpenTradeRepository
from services.exit_qualification.storage.tick_checkpoints import TickCheckpointRepository
from services.exit_qualification.ticks.batch import Layout
from services.exit_qualification.ticks.rehoming import move_symbols
from shared.contracts.topics import MARKET_TICKS, TRADES, TopicNames
from shared.errors import ConfigurationError, LogIdentityChanged
from shared.kafka.clients import home_partition
from shared.kafka.consumer_gaps import ConsumerGaps, Gap, count, resume
from shared.kafka.log_identity import LogIdentity, LogIdentityRepository
from shared.kafka.topic_watch import Change, TopicChange
from shared.kafka.topics import Bounds, Partition, TopicState, cluster_id_of, require_topics

log = logging.getLogger(__name__)

GROUP = "exit-ticks"
RESET_COMMAND = "exitflow ticks reset --reason …"
REHOME_COMMAND = "exitflow ticks rehome --reason …"


class TickLog:
    """Both topics, compared with the stored identity whenever the group is joined."""

    def __init__(self, admin: AdminClient, topics: TopicNames, database: Engine) -> None:
        self._admin = admin
        self._topics = topics
        self._database = database
        self._refused: dict[Partition, int] = {}
        self.states: dict[str, TopicState] = {}

    def begin(self) -> Layout:
        """Return the layout of both topics after checking that resuming loses nothing.

        Raises
        ------
        ConfigurationError
            A topic is missing, the numbers of partitions differ, open trades are not on their home partitions, or
            the stored offsets belong to another log.
        KafkaException, SQLAlchemyError
            The cluster or the database does not answer.
        """
        names = [self._topics.on_cluster(MARKET_TICKS), self._topics.on_cluster(TRADES)]
        self.states = require_topics(self._admin, names)
        layout = layout_of(self.states, *names)
        with self._database.begin() as connection:
            identities = identities_of(self._admin, self.states)
            self._follow_growth(connection, identities, layout)
            _require_identity(connection, identities)
            require_homes(connection, layout)
            self._require_no_refusal(connection, layout)
        return layout

    def is_current(self) -> bool:
        """Return whether the topics still match the result of `begin`; raises as `begin` does."""
        return require_topics(self._admin, list(self.states)) == self.states

    def changed(self, changes: Sequence[TopicChange]) -> None:
        """Store positions refused by Kafka because they are beyond the end of their partition."""
        for change in changes:
            if change.kind is Change.BEYOND_END and change.partition is not None and change.position is not None:
                self._refused[change.topic, change.partition] = change.position

    def start(
        self,
        connection: Connection,
        layout: Layout,
        claimed: Mapping[int, Checkpoint],
        bounds: Mapping[Partition, Bounds],
    ) -> dict[Partition, int]:
        """Return the start offset of each partition, and store the missed trades as gaps.

        A partition at offset 0 starts at the earliest record. Removed ticks are only counted, because later prices
        decide. A
        removed trade record is a gap: its trade is open but not evaluated.
        """
        stored = {each: at or None for each, at in offsets_of(layout, claimed).items()}
        topic_ids = {topic: state.topic_id for topic, state in self.states.items()}
        positions, gaps = resume(stored, bounds, topic_ids, is_new=True)
        ConsumerGaps(connection, GROUP).record([gap for gap in gaps if gap.topic == layout.trades])
        _tell(gaps)
        return positions

    def _follow_growth(self, connection: Connection, identities: Mapping[str, LogIdentity], layout: Layout) -> None:
        """Accept more partitions immediately if no open trade has to move."""
        repository = LogIdentityRepository(connection)
        known = repository.known(list(identities))
        same_log = {(each.topic_id, each.cluster_id) for each in known.values()} == {
            (each.topic_id, each.cluster_id) for each in identities.values()
        }
        has_grown = same_log and known != identities and all(each.partitions for each in known.values())
        if has_grown and not misplaced(connection, layout):
            move_symbols(connection, layout.partitions)
            repository.replace(identities)
            log.warning("both topics have %d partitions now; no open trade has to move", layout.partitions)

    def _require_no_refusal(self, connection: Connection, layout: Layout) -> None:
        stored = offsets_of(layout, TickCheckpointRepository(connection).stored())
        self._refused = {each: at for each, at in self._refused.items() if stored.get(each) == at}
        for (topic, partition), at in self._refused.items():
            raise LogIdentityChanged(
                f"{topic} partition {partition} ends before the stored offset {at}: records are lost; "
                f"run `{RESET_COMMAND}` to start from the beginning of the log"
            )


def layout_of(states: Mapping[str, TopicState], ticks: str, trades: str) -> Layout:
    """Return the layout of the two topics.

    Raises
    ------
    ConfigurationError
        The numbers of partitions differ: ticks and trades of a symbol would not meet in one worker.
    """
    counts = {name: states[name].partitions for name in (ticks, trades)}
    if counts[ticks] != counts[trades]:
        smaller = min(counts, key=counts.__getitem__)
        raise ConfigurationError(
            f"{ticks} has {counts[ticks]} partitions and {trades} has {counts[trades]}; they must have the same "
            f"number: run `exitflow topics grow {smaller} --partitions {max(counts.values())}`"
        )
    return Layout(ticks, trades, counts[ticks])


def identities_of(admin: AdminClient, states: Mapping[str, TopicState]) -> dict[str, LogIdentity]:
    """Return the cluster and topic ids of the topics.

    Raises
    ------
    KafkaException
        The cluster does not answer.
    """
    cluster_id = cluster_id_of(admin)
    return {name: LogIdentity(cluster_id, state.topic_id, state.partitions) for name, state in states.items()}


def misplaced(connection: Connection, layout: Layout) -> list[str]:
    """Return the symbols with open trades away from their home partition."""
    projected = OpenTradeRepository(connection).symbols_open()
    return sorted({symbol for symbol, partition in projected if home_partition(symbol, layout.partitions) != partition})


def require_homes(connection: Connection, layout: Layout) -> None:
    """Check that every open trade is on the partition of its symbol.

    Raises
    ------
    ConfigurationError
        Trades were projected with another number of partitions.
    """
    if symbols := misplaced(connection, layout):
        raise ConfigurationError(
            f"the topics have {layout.partitions} partitions now, and open trades on {len(symbols)} symbols (such as "
            f"{symbols[0]}) belong on other partitions than before: run `{REHOME_COMMAND}`"
        )


def offsets_of(layout: Layout, checkpoints: Mapping[int, Checkpoint]) -> dict[Partition, int]:
    """Return the offsets of both topics."""
    ticks = {(layout.ticks, partition): each.tick_offset for partition, each in sorted(checkpoints.items())}
    return ticks | {(layout.trades, partition): each.trade_offset for partition, each in sorted(checkpoints.items())}


def _require_identity(connection: Connection, found: Mapping[str, LogIdentity]) -> None:
    stored = LogIdentityRepository(connection).remember(found)
    for topic, identity in found.items():
        known = stored[topic]
        if (known.cluster_id, known.topic_id) != (identity.cluster_id, identity.topic_id):
            raise LogIdentityChanged(
                f"{topic} is not the topic of the stored offsets (cluster {known.cluster_id} topic "
                f"{known.topic_id} before, cluster {identity.cluster_id} topic {identity.topic_id} now); "
                f"`{RESET_COMMAND}` starts from its beginning"
            )
        if known.partitions != identity.partitions:
            raise ConfigurationError(
                f"{topic} had {known.partitions} partitions and has {identity.partitions} now: run `{REHOME_COMMAND}`"
            )


def _tell(gaps: Sequence[Gap]) -> None:
    count(gaps)
    for gap in gaps:
        log.error(
            "%s partition %d: retention removed offsets %d to %d before they were read; continuing at %d",
            gap.topic, gap.partition, gap.first_offset, gap.first_offset + gap.missed - 1,
            gap.first_offset + gap.missed,
        )  # fmt: skip
