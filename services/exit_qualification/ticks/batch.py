"""Batches of Kafka records: their layout, and the results of their evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import merge
from uuid import UUID

from confluent_kafka import Message

from services.exit_qualification.domain.candidates import ExitCandidates
from services.exit_qualification.domain.checkpoint import Checkpoint
from services.exit_qualification.storage.open_trades import ChangedPlan, OpenedTrade
from services.exit_qualification.storage.trade_adjustments import AdjustedTrade
from shared.kafka.clients import arrived_ms
from shared.kafka.consuming import offset_of
from shared.kafka.topics import Partition

Records = Mapping[Partition, Sequence[Message]]
"""Records of each partition of a topic, in order of their offsets."""


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
class BatchResult:
    """Result of a batch.

    Attributes
    ----------
    opened, plans, adjusted, closed:
        Trades opened, changed, adjusted to corporate actions and closed by the batch's trade events.
    detected:
        Detected exits in order of their ticks; a trade may appear several times.
    homes:
        Home partitions of the trades opened, changed and closed.
    urgent:
        Held partitions to write now, as a record of theirs was refused.
    urgent_symbols:
        Symbols to write now: with an exit, a trade or a new clock.
    outside:
        Symbol of each tick beyond the circuit limits.
    new_clocks, stuck:
        Symbols with a producer clock set back, and symbols with only stale ticks for a long time.
    arrived_ms:
        For each qualified trade, the time of its first qualifying tick.
    causing:
        Each tick that caused exits, with its decisions.
    """

    opened: list[OpenedTrade] = field(default_factory=list)
    plans: list[ChangedPlan] = field(default_factory=list)
    adjusted: list[AdjustedTrade] = field(default_factory=list)
    closed: list[UUID] = field(default_factory=list)
    detected: list[ExitCandidates] = field(default_factory=list)
    homes: set[int] = field(default_factory=set)
    urgent: set[int] = field(default_factory=set)
    urgent_symbols: set[str] = field(default_factory=set)
    refused: list[Refused] = field(default_factory=list)
    misrouted: list[Misrouted] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    new_clocks: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    arrived_ms: dict[UUID, int] = field(default_factory=dict)
    causing: list[tuple[Message, Sequence[ExitCandidates]]] = field(default_factory=list)
    unknown_events: int = 0
    evaluated: int = 0
    stale: int = 0

    @property
    def follows_trades(self) -> bool:
        """Return whether the batch has events of trades to write."""
        return bool(self.opened or self.plans or self.adjusted or self.closed)


def offsets_after(records: Records, layout: Layout, reached: Mapping[int, Checkpoint]) -> dict[int, Checkpoint]:
    """Return the checkpoint of every partition with a record, from those reached before."""
    after: dict[int, Checkpoint] = {}
    for (topic, partition), messages in records.items():
        before = after.get(partition, reached[partition])
        offset = offset_of(messages[-1]) + 1
        moved = {"tick_offset": offset} if topic == layout.ticks else {"trade_offset": offset}
        after[partition] = replace(before, **moved)
    return after


def in_order(ticks: Sequence[Message], trades: Sequence[Message], now_ms: int) -> Iterator[Message]:
    """Return the records of both topics of a partition, merged by arrival time.

    Kafka gives no order across topics. With this order, a trade is evaluated by the ticks of the batch after its
    opening, not by earlier ones. The order inside a topic's partition never changes.
    """
    if not ticks:
        return iter(trades)

    def arrived(message: Message) -> int:
        return arrived_ms(message, now_ms)

    return merge(trades, ticks, key=arrived)
