"""BrokerAnswers: since when Kafka does not answer."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from shared.clock import Clock

SILENCE_S = 5
"""Kafka does not answer if nothing came from it for so long."""


class _BrokerStatistics(msgspec.Struct):
    state: str
    waitresp_cnt: int


class _Statistics(msgspec.Struct):
    """The used part of a producer's statistics, by librdkafka's names."""

    name: str
    brokers: dict[str, _BrokerStatistics]


_STATISTICS = msgspec.json.Decoder(_Statistics)


class BrokerAnswers:
    """Time of the last answer: an acknowledgement or, with nothing in flight, a sign of life in the statistics."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._answered_at = clock.monotonic()
        self._owed: set[str] = set()

    def note(self) -> None:
        """Note an answer."""
        self._answered_at = self._clock.monotonic()

    def take_statistics(self, text: str, in_flight: int) -> None:
        """Count a broker as alive only if it owes no answer: a hung broker still reports UP.

        Parameters
        ----------
        text:
            JSON statistics of one producer.
        in_flight:
            Events of all producers without an answer.
        """
        statistics = _STATISTICS.decode(text)
        if any(broker.state == "UP" and not broker.waitresp_cnt for broker in statistics.brokers.values()):
            self._owed.discard(statistics.name)
        else:
            self._owed.add(statistics.name)
        if in_flight == 0 and not self._owed:
            self.note()

    def silent_since(self) -> datetime | None:
        """Return since when Kafka does not answer; None while it does."""
        silence_s = self._clock.monotonic() - self._answered_at
        if silence_s < SILENCE_S:
            return None
        return self._clock.now() - timedelta(seconds=silence_s)
