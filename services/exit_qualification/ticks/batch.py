"""Conversion of a batch of Kafka records into ordered work: pure, without evaluation or writing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import merge

from confluent_kafka import Message

from services.exit_qualification.domain.checkpoint import Checkpoint
from services.exit_qualification.ticks.records import (
    TickRecord,
    TradeRecord,
    read_tick,
    read_trade,
)
from shared.contracts.discarded import Discarded
from shared.errors import MalformedMessage
from shared.kafka.clients import arrived_ms, headers_of, home_partition
from shared.kafka.record_faults import Fault, read_record
from shared.outbox.signatures import TrustedKeys


@dataclass(frozen=True, slots=True)
class Layout:
    """Both topics on the cluster, with the same number of partitions each."""

    ticks: str
    trades: str
    partitions: int

    @property
    def topics(self) -> list[str]:
        """Return both names."""
        return [self.ticks, self.trades]


@dataclass(slots=True)
class Refused:
    """Unusable record, and the reason."""

    message: Message
    code: str
    reason: str


@dataclass(slots=True)
class Misrouted:
    """Tick on a partition other than its symbol's."""

    message: Message
    symbol: str
    home: int


@dataclass(slots=True)
class Batch:
    """Contents of a batch of records.

    Attributes
    ----------
    work:
        Ticks, and trades with their home partition, in processing order.
    checkpoints:
        Checkpoint of every partition with a record in the batch, valid once the batch is written.
    """

    work: list[TickRecord | tuple[TradeRecord, int]] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    misrouted: list[Misrouted] = field(default_factory=list)
    unknown_events: int = 0
    checkpoints: dict[int, Checkpoint] = field(default_factory=dict)


def read_batch(
    messages: Sequence[Message], layout: Layout, held: Mapping[int, Checkpoint], now_ms: int, trusted: TrustedKeys
) -> Batch:
    """Read the records of `held` partitions; other records are left to their owners.

    A trade event is accepted only if one of the `trusted` keys signed it.
    """
    mine = [message for message in messages if message.partition() in held]
    batch = Batch()
    for message in in_order(mine, layout, now_ms):
        if message.topic() == layout.ticks:
            _take_tick(batch, message, layout, now_ms)
        else:
            _take_trade(batch, message, layout, now_ms, trusted)
    batch.checkpoints = _checkpoints_after(mine, layout, held)
    return batch


def without(message: Message, fault: Fault, layout: Layout, held: Mapping[int, Checkpoint]) -> Batch:
    """Return the replacement of an unusable record: a dead letter, and the next offset."""
    refused = [Refused(message, fault.code, fault.reason)]
    return Batch(refused=refused, checkpoints=_checkpoints_after([message], layout, held))


def in_order(messages: Sequence[Message], layout: Layout, now_ms: int) -> Iterable[Message]:
    """Return the records of each partition, merged over both topics by arrival time.

    Kafka gives no order across topics. With this order, a trade is evaluated by the ticks of the batch that follow its
    opening, not by earlier ones. The order inside a topic's partition never changes.
    """
    if all(message.topic() == layout.ticks for message in messages):
        return messages

    def arrived(message: Message) -> int:
        return arrived_ms(message, now_ms)

    by_partition: defaultdict[int | None, tuple[list[Message], list[Message]]] = defaultdict(lambda: ([], []))
    for message in messages:
        by_partition[message.partition()][message.topic() == layout.ticks].append(message)
    return [message for topics in by_partition.values() for message in merge(*topics, key=arrived)]


def _take_tick(batch: Batch, message: Message, layout: Layout, now_ms: int) -> None:
    try:
        tick = read_record(read_tick, message.value(), arrived_ms(message, now_ms))
    except MalformedMessage as error:
        batch.refused.append(Refused(message, error.code, str(error)))
        return
    home = home_partition(tick.symbol, layout.partitions)
    if home == message.partition():
        batch.work.append(tick)
    else:
        batch.misrouted.append(Misrouted(message, tick.symbol, home))


def _take_trade(batch: Batch, message: Message, layout: Layout, now_ms: int, trusted: TrustedKeys) -> None:
    try:
        event_type = read_record(headers_of, message).get("ce_type", "")
        event = read_record(read_trade, event_type, message.value(), arrived_ms(message, now_ms))
        if event is not None:
            read_record(trusted.verify, message)
    except MalformedMessage as error:
        batch.refused.append(Refused(message, error.code, str(error)))
        return
    if event is None:
        batch.unknown_events += event_type != Discarded.event_type()
        return
    # Accepted on any partition: records written before the topic grew are on the earlier home partition.
    batch.work.append((event, home_partition(event.symbol, layout.partitions)))


def _checkpoints_after(
    messages: Iterable[Message], layout: Layout, held: Mapping[int, Checkpoint]
) -> dict[int, Checkpoint]:
    next_offsets = {(message.topic(), message.partition()): (message.offset() or 0) + 1 for message in messages}
    after: dict[int, Checkpoint] = {}
    for (topic, partition), offset in next_offsets.items():
        if partition is None:
            continue
        before = after.get(partition, held[partition])
        moved = {"tick_offset": offset} if topic == layout.ticks else {"trade_offset": offset}
        after[partition] = replace(before, **moved)
    return after
