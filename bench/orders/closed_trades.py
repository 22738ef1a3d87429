"""Reader of trades.v1: notes when each trade's TradeClosed could be read."""

from __future__ import annotations

import json
import threading
from types import TracebackType
from typing import Self

from confluent_kafka import Consumer, Message, TopicPartition

from shared.clock import SystemClock
from shared.contracts.topics import TRADES
from shared.errors import Unavailable
from shared.ids import new_id
from shared.kafka.clients import headers_of

CLOSED = "io.exitflow.TradeClosed.v1"
STOP_LOOK_S = 0.25
MOST_RECORDS = 500
ANSWER_S = 20


class ClosedTrades:
    """Consumer thread; it reads from the end of the topic as it was at the start."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": f"bench-{new_id().hex}",
                "enable.auto.commit": False,
                # The broker answers at once when there is a record; short waits would cost it more than the exits do.
                "fetch.wait.max.ms": 500,
                "log_level": 4,
            }
        )
        self._clock = SystemClock()
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._seen_at: dict[str, float] = {}
        self._thread = threading.Thread(target=self._read, name="closed-trades", daemon=True)

    def __enter__(self) -> Self:
        partitions = self._consumer.list_topics(TRADES, timeout=ANSWER_S).topics[TRADES].partitions
        starts = []
        for partition in partitions:
            _, end = self._consumer.get_watermark_offsets(TopicPartition(TRADES, partition), timeout=ANSWER_S)
            starts.append(TopicPartition(TRADES, partition, end))
        self._consumer.assign(starts)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(ANSWER_S)
        self._consumer.close()

    def wait_for(self, trade_ids: list[str], limit_s: float) -> dict[str, float]:
        """Return when each trade's closing was read, by the monotonic clock.

        Raises
        ------
        Unavailable
            Some were not closed within the limit.
        """
        wanted = set(trade_ids)
        with self._changed:
            if not self._changed.wait_for(lambda: wanted <= self._seen_at.keys(), limit_s):
                missing = len(wanted - self._seen_at.keys())
                raise Unavailable(f"{missing} of {len(wanted)} trades were not closed within {limit_s:.0f} s")
            return {trade_id: self._seen_at[trade_id] for trade_id in wanted}

    def _read(self) -> None:
        while not self._stop.is_set():
            for record in self._next():
                value = record.value()
                if record.error() or value is None or headers_of(record).get("ce_type") != CLOSED:
                    continue
                at = self._clock.monotonic()
                with self._changed:
                    self._seen_at[json.loads(value)["trade_id"]] = at
                    self._changed.notify_all()

    def _next(self) -> list[Message]:
        """Return the next record as soon as it comes, with all others of its fetch: `consume` waits out its time."""
        first = self._consumer.poll(STOP_LOOK_S)
        return [] if first is None else [first, *self._consumer.consume(MOST_RECORDS, 0)]
