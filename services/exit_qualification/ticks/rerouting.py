"""Forwarding of ticks to their symbol's partition: producers with any partitioner work."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from services.exit_qualification.ticks.batch import Layout, Misrouted
from services.exit_qualification.ticks.metrics import TICKS_FORWARDED
from shared.clock import Clock
from shared.kafka.clients import raw_headers
from shared.kafka.confirmed_producer import ConfirmedProducer

log = logging.getLogger(__name__)

WARN_EVERY_S = 30.0


class MisroutedTicks:
    """Forwards ticks; the caller flushes before it commits their offsets.

    A forwarded tick is on its own partition and is never forwarded again.
    """

    def __init__(self, producer: ConfirmedProducer, clock: Clock) -> None:
        self._producer = producer
        self._clock = clock
        self._next_warning_s = 0.0
        self._since_warning = 0

    def forward(self, misrouted: Sequence[Misrouted], layout: Layout) -> None:
        """Send each tick, unchanged, to the partition of its symbol, with the timestamp of its record."""
        for each in misrouted:
            self._producer.send(
                layout.ticks,
                key=each.symbol,
                value=each.message.value(),
                partition=each.home,
                timestamp=max(0, each.message.timestamp()[1]),
                headers=raw_headers(each.message),
            )
        if misrouted:
            TICKS_FORWARDED.inc(len(misrouted))
            self._warn(misrouted)

    def _warn(self, misrouted: Sequence[Misrouted]) -> None:
        self._since_warning += len(misrouted)
        if self._clock.monotonic() < self._next_warning_s:
            return
        log.warning(
            "%d ticks were not on the partition of their symbol (the last: %s) and were forwarded: "
            "set the producer's partitioner to murmur2_random",
            self._since_warning,
            misrouted[-1].symbol,
        )
        self._since_warning = 0
        self._next_warning_s = self._clock.monotonic() + WARN_EVERY_S
