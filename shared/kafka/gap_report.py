"""GapReport: the open gaps of a consumer in its health."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from shared.clock import Clock
from shared.errors import ConfigurationError
from shared.kafka.consumer_gaps import ConsumerGaps, OpenGap
from shared.kafka.topic_watch import Change
from shared.outbox.hold import refuse_while_held
from shared.postgres.engine import look
from shared.runtime.health import Health
from shared.wording import plural

CONDITION = "gaps"
"""Condition of a consumer: it missed nothing, or an operator acknowledged its losses."""

LOOK_S = 2.0


class GapReport:
    """Shows the open gaps of a consumer in its health, and stops the consumer while the outbox is held."""

    def __init__(self, database: Engine, consumer: str, health: Health, clock: Clock, advice: str) -> None:
        self._database = database
        self._consumer = consumer
        self._health = health
        self._clock = clock
        self._advice = advice
        self._next_s = 0.0

    def show(self) -> None:
        """Refresh the report if it is due; database failures belong to another condition.

        Raises
        ------
        ConfigurationError
            The database is behind Kafka, as after a restore: act upon no record.
        """
        now = self._clock.monotonic()
        if now < self._next_s:
            return
        self._next_s = now + LOOK_S
        try:
            with look(self._database) as connection:
                gaps = ConsumerGaps(connection, self._consumer).open()
                refuse_while_held(connection)
        except SQLAlchemyError:
            self._health.alive(CONDITION)
            return
        except ConfigurationError:
            self._next_s = now
            raise
        if gaps:
            self._health.problem(CONDITION, f"{describe(gaps)}; {self._advice}")
        else:
            self._health.fine(CONDITION)


def describe(gaps: Sequence[OpenGap]) -> str:
    """Describe missed records in one line."""
    topics = ", ".join(sorted({each.gap.topic for each in gaps}))
    replaced = ", ".join(sorted({each.gap.topic for each in gaps if each.gap.kind is not Change.REMOVED}))
    missed = sum(each.gap.missed for each in gaps)
    if replaced:
        return f"missed at least {plural(missed, 'record')} of {topics} ({replaced} was replaced)"
    return f"missed {plural(missed, 'record')} of {topics}"
