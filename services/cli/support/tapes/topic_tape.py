"""Ticks of a Kafka topic, as a recording to replay."""

from __future__ import annotations

from collections.abc import Iterator

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Message

from services.cli.support.tapes.topic_bounds import partitions_of, resolve
from services.cli.support.tapes.topic_range import TopicRange
from services.cli.support.tapes.topic_reader import read_range
from services.replay.tape.format import TapeFormat
from services.replay.tape.recorded import RecordedTick
from services.replay.tape.times import Times
from shared.contracts.ticks import parse_tick
from shared.contracts.topics import ALL_TOPICS, MARKET_TICKS, TopicNames
from shared.errors import MalformedMessage
from shared.kafka.clients import home_partition, open_admin
from shared.kafka.consuming import partition_of
from shared.kafka.record_faults import read_record
from shared.settings import Settings
from shared.wording import plural


class TopicTape:
    """A range of a topic of ticks, fixed when the object is made: later records are not read.

    Ticks are read as the tick worker reads them. Records that are no ticks have no effect there and none here. On
    `market.ticks.v1` the worker judges a tick on the partition of its symbol only: a tick on another one is left out,
    for its forwarded copy is read.

    Raises
    ------
    NotFound
        Kafka does not have the topic.
    InvalidInput
        Offsets of the range are not there.
    """

    def __init__(self, settings: Settings, topic_range: TopicRange, tape_format: TapeFormat) -> None:
        names = TopicNames(settings.kafka_topic_prefix)
        self._settings = settings
        self._format = tape_format
        self._times = Times(tape_format)
        self._topic = names.on_cluster(topic_range.topic) if topic_range.topic in ALL_TOPICS else topic_range.topic
        admin = open_admin(settings)
        today = partitions_of(admin, self._topic)
        self._homes = topic_range.partitions or today
        self._by_home = self._topic == names.on_cluster(MARKET_TICKS)
        self._bounds = resolve(admin, self._topic, self._numbers(today), topic_range)
        self._total = sum(bounds.end - bounds.beginning for bounds in self._bounds.values())
        self._read = self._elsewhere = self._malformed = 0
        self._first_malformed = ""

    @property
    def name(self) -> str:
        """Return the name of the topic."""
        return self._topic

    def place(self, tick: RecordedTick) -> str:
        """Return the number of a tick's record within the range; gaps make them fewer than the offsets."""
        return f"record {tick.line} of at most {self._total}"

    def remarks(self) -> Iterator[str]:
        """Yield notes for a reader about the records left out so far."""
        if self._malformed:
            left_out = plural(self._malformed, "record")
            yield f"left out {left_out} without a tick, as exit-ticks does; {self._first_malformed}"
        if self._elsewhere:
            left_out = plural(self._elsewhere, "tick")
            yield (
                f"left out {left_out} away from the partition of their symbol: exit-ticks judges "
                "their forwarded copies; if the topic has grown since, say how many it had with --partitions"
            )

    def __iter__(self) -> Iterator[RecordedTick]:
        """Yield the ticks of each partition in order of their offsets; errors as in `read_range`."""
        self._read = self._elsewhere = self._malformed = 0
        for message in read_range(self._settings, self._bounds):
            tick = self._tick(message)
            if tick is not None:
                yield tick

    def _numbers(self, today: int) -> list[int]:
        """Return the partitions to read; the ticks of one symbol are on one."""
        if self._by_home and self._format.symbol is not None:
            return [home_partition(self._format.symbol, self._homes)]
        return list(range(today))

    def _tick(self, message: Message) -> RecordedTick | None:
        """Return the tick of a record; None if it has no effect or is not wanted."""
        self._read += 1
        topic, number = partition_of(message)
        try:
            symbol, price, ts_us, seq = read_record(parse_tick, message.value())
        except MalformedMessage as error:
            if not self._malformed:
                self._first_malformed = f"the first: {topic} partition {number} offset {message.offset()}: {error}"
            self._malformed += 1
            return None
        if self._format.symbol not in (None, symbol):
            return None
        if self._format.date is not None and self._times.day(ts_us) != self._format.date:
            return None
        if self._by_home and home_partition(symbol, self._homes) != number:
            self._elsewhere += 1
            return None
        kind, stamp_ms = message.timestamp()
        return RecordedTick(self._read, symbol, price, ts_us, seq, stamp_ms if kind == TIMESTAMP_LOG_APPEND_TIME else 0)
