"""Both topics of each partition as one stream in order of arrival, however polls bring their records."""

from __future__ import annotations

import logging
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from math import inf
from typing import Final

from confluent_kafka import Message

from services.exit_qualification.ticks.batch import Layout, Records
from shared.kafka.clients import arrived_ms
from shared.kafka.consuming import offset_of
from shared.kafka.topics import Partition

log = logging.getLogger(__name__)

JOIN_WAIT_S: Final = 2.0
"""Longest wait for the other topic of a partition: the leader of its partition may be away."""
MOST_WAITING: Final = 10_000
"""Records of a partition waiting for the other topic; then no more are read until they are judged."""


class JoinedTopics:
    """Records wait until no earlier one of the other topic of their partition can come.

    A worker behind reads one topic ahead of the other. A trade would then be judged by ticks from before its entry,
    and not by those after it. A record goes on once the other topic has a later one, or has been read to its end.

    Parameters
    ----------
    starts:
        Where the reading of each partition of the topics starts; records of others pass.
    """

    def __init__(self, layout: Layout, starts: Mapping[Partition, int]) -> None:
        self._layout = layout
        self._next = dict(starts)
        self._waiting: dict[int, tuple[list[Message], list[Message]]] = {}
        self._last_ms: dict[Partition, int] = {}
        self._since_s: dict[int, float] = {}
        self.full: set[Partition] = set()

    @property
    def until_s(self) -> float:
        """Return when records go on without the other topic; infinity if none waits."""
        return min(self._since_s.values(), default=inf) + JOIN_WAIT_S

    def take(self, records: Records, ends: Mapping[Partition, int], now_s: float, now_ms: int) -> Records:
        """Return the records that may be judged now, of those waiting and these new ones.

        Parameters
        ----------
        ends:
            For each partition read to its end, the offset there.
        """
        ready: dict[Partition, Sequence[Message]] = {}
        for number in {number for _, number in records} | self._waiting.keys():
            of_ticks, of_trades = (self._layout.ticks, number), (self._layout.trades, number)
            ticks, trades = records.get(of_ticks, ()), records.get(of_trades, ())
            self._note(of_ticks, ticks, now_ms)
            self._note(of_trades, trades, now_ms)
            if number in self._waiting:
                waiting_ticks, waiting_trades = self._waiting.pop(number)
                ticks, trades = [*waiting_ticks, *ticks], [*waiting_trades, *trades]
            elif not trades and self._is_at_end(of_trades, ends):
                ready[of_ticks] = ticks  # almost always
                continue
            self._split(number, ticks, trades, ready, ends, now_s)
        self.full = {
            (topic, number)
            for number, both in self._waiting.items()
            for topic, waiting in zip(self._layout.topics, both, strict=True)
            if len(waiting) >= MOST_WAITING
        }
        return {where: messages for where, messages in ready.items() if messages}

    def _note(self, where: Partition, messages: Sequence[Message], now_ms: int) -> None:
        if messages:
            self._next[where] = offset_of(messages[-1]) + 1
            self._last_ms[where] = max(self._last_ms.get(where, 0), arrived_ms(messages[-1], now_ms))

    def _is_at_end(self, where: Partition, ends: Mapping[Partition, int]) -> bool:
        return where not in self._next or ends.get(where, -1) >= self._next[where]

    def _split(
        self,
        number: int,
        ticks: Sequence[Message],
        trades: Sequence[Message],
        ready: dict[Partition, Sequence[Message]],
        ends: Mapping[Partition, int],
        now_s: float,
    ) -> None:
        """Divide the records of a partition into those ready and those to wait; at one time trades are first."""
        of_ticks, of_trades = (self._layout.ticks, number), (self._layout.trades, number)
        first_ticks, first_trades = len(ticks), len(trades)
        if not self._is_at_end(of_trades, ends):
            first_ticks = bisect_left(ticks, self._last_ms.get(of_trades, 0), key=_arrived_ms)
        if not self._is_at_end(of_ticks, ends):
            first_trades = bisect_right(trades, self._last_ms.get(of_ticks, 0), key=_arrived_ms)
        if first_ticks == len(ticks) and first_trades == len(trades):
            self._since_s.pop(number, None)
        elif now_s - self._since_s.setdefault(number, now_s) >= JOIN_WAIT_S:
            log.warning("partition %d: one topic is not read to its end; the records of the other go on", number)
            first_ticks, first_trades = len(ticks), len(trades)
            del self._since_s[number]
        elif first_ticks or first_trades:
            self._since_s[number] = now_s
        ready[of_ticks], ready[of_trades] = ticks[:first_ticks], trades[:first_trades]
        if first_ticks < len(ticks) or first_trades < len(trades):
            self._waiting[number] = (list(ticks[first_ticks:]), list(trades[first_trades:]))


def _arrived_ms(message: Message) -> int:
    """Return the arrival; a record without one, by the clock of its producer, counts as the first."""
    return arrived_ms(message, 0)
