"""Metrics of a whole outbox, including shards without an owner or paused, and during Kafka outages.

Every relay measures the recorded state in a separate thread: no election, and no dependency on failing sessions. Relays
agree within a few seconds, so a dashboard takes the maximum over them.
"""

from __future__ import annotations

import logging
import threading
from typing import LiteralString, NamedTuple

import psycopg

from services.outbox_relay.database.connection import SURVEYS, Connection, connect
from services.outbox_relay.relay import OutboxSource
from shared.clock import Clock
from shared.outbox.backlog import LOOKED_AT, WAITING
from shared.postgres.failures import reason
from shared.runtime.health import Health
from shared.runtime.telemetry import counter, gauge

log = logging.getLogger(__name__)

EVERY_S = 5
RESTS = 20
"""After a long survey, the next one waits for at least so many times its length."""

HANGS_S = 30.0
"""A survey of this length hangs: connecting and each of its statements are limited to less."""

PARKED_COUNTED = 10_000

BACKLOG = gauge(
    "outbox_backlog_events", "Events not on record as published, at most 1,000 a shard are looked at", "outbox"
)
CAPPED = gauge("outbox_backlog_capped_shards", "Shards with possibly more events than counted", "outbox")
OLDEST_AGE_S = gauge("outbox_oldest_unpublished_age_seconds", "Age of the oldest event of the backlog", "outbox")
UNHELD = gauge("outbox_shards_unheld", "Shards neither held by a relay nor paused", "outbox")
PAUSED = gauge("outbox_shards_paused", "Shards paused by an operator", "outbox")
PARKED = gauge("outbox_parked_events", "Events waiting for an operator, counted up to 10,000", "outbox")
PARKED_AGE_S = gauge("outbox_parked_oldest_age_seconds", "How long the oldest of them has been parked", "outbox")
SURVEYED_AT_S = gauge("outbox_survey_timestamp_seconds", "When the figures of the whole outbox were taken", "outbox")
FAILURES = counter("outbox_survey_failures", "Failed measurements of the outbox", "outbox")

BACKLOG_OF_ALL: LiteralString = f"""
-- outbox.survey: waiting events, and the holders of the shards
SELECT coalesce(sum(waiting.backlog), 0)::bigint, count(*) FILTER (WHERE waiting.looked_at = {LOOKED_AT}),
       coalesce(extract(epoch FROM clock_timestamp() - min(waiting.oldest)), 0)::float8,
       count(*) FILTER (WHERE NOT s.paused AND s.lease_until < clock_timestamp()), count(*) FILTER (WHERE s.paused)
  FROM outbox_shard s
 CROSS JOIN LATERAL ({WAITING}) waiting
"""  # noqa: S608  # our own text alone

PARKED_OF_ALL = """
-- outbox.survey_parked: ids are in order of time, so the first are the oldest
SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(parked_at)), 0)::float8
  FROM (SELECT parked_at FROM outbox_parked ORDER BY event_id LIMIT %(limit)s) oldest
"""


class BacklogFigures(NamedTuple):
    """Backlog figures of an outbox; ages in seconds, 0 if nothing waits."""

    backlog: int
    capped: int
    oldest_age_s: float
    unheld: int
    paused: int
    parked: int
    parked_age_s: float


def open_connection(source: OutboxSource) -> Connection:
    """Open the measuring connection."""
    connection = connect(source.url, source.schema, SURVEYS)
    # A bitmap is made of all waiting rows before the first of them is counted; an index scan ends early.
    connection.execute("SET enable_bitmapscan = off")
    return connection


def measure(connection: Connection) -> BacklogFigures:
    """Measure the outbox of this connection's schema; bounded, whatever waits."""
    waiting = connection.execute(BACKLOG_OF_ALL).fetchone()
    parked = connection.execute(PARKED_OF_ALL, {"limit": PARKED_COUNTED}).fetchone()
    assert waiting is not None
    assert parked is not None
    return BacklogFigures(*waiting, *parked)


def rest_after(took_s: float) -> float:
    """Return the seconds until the next survey."""
    return max(EVERY_S, RESTS * took_s)


class BacklogMonitor:
    """Measure one outbox periodically until stopped. After a failure the last figures remain, with their time."""

    def __init__(self, source: OutboxSource, clock: Clock, health: Health) -> None:
        self._source = source
        self._health = health
        self._condition = f"survey {source.name}"
        health.add(self._condition, HANGS_S)
        self._clock = clock
        self._connection: Connection | None = None

    def run(self, stop: threading.Event) -> None:
        """Measure until `stop` is set."""
        try:
            while not stop.is_set():
                began = self._clock.monotonic()
                measured = self._try()
                rest_s = rest_after(self._clock.monotonic() - began) if measured else EVERY_S
                self._health.alive(self._condition, rest_s + HANGS_S)
                stop.wait(rest_s)
        finally:
            self._disconnect()

    def _try(self) -> bool:
        try:
            self._connection = self._connection or open_connection(self._source)
            self._show(measure(self._connection))
        except psycopg.Error as error:
            self._health.problem(self._condition, f"the outbox cannot be measured: {reason(error)}")
            FAILURES.labels(self._source.name).inc()
            log.debug("%s: cannot be measured: %s", self._source.condition, error)
            self._disconnect()
            return False
        self._health.fine(self._condition)
        return True

    def _show(self, found: BacklogFigures) -> None:
        name = self._source.name
        BACKLOG.labels(name).set(found.backlog)
        CAPPED.labels(name).set(found.capped)
        OLDEST_AGE_S.labels(name).set(found.oldest_age_s)
        UNHELD.labels(name).set(found.unheld)
        PAUSED.labels(name).set(found.paused)
        PARKED.labels(name).set(found.parked)
        PARKED_AGE_S.labels(name).set(found.parked_age_s)
        SURVEYED_AT_S.labels(name).set(self._clock.now().timestamp())

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
