"""Retention: create partitions ahead, close published ones and drop old ones, periodically, beside the relay.

A separate thread and connection delay no event longer than the lock time-out (100 ms). With several relays, one does
the work.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import psycopg

from services.outbox_relay.database.connection import UPKEEP, UPKEEP_LIMIT_S, Connection, connect
from services.outbox_relay.relay import OutboxSource
from services.outbox_relay.retention.partitions import Partition, Partitions
from shared.errors import first_line
from shared.postgres.failures import reason
from shared.runtime.health import Health
from shared.runtime.telemetry import counter, gauge
from shared.settings import Settings

log = logging.getLogger(__name__)

PARTITIONS = gauge("outbox_partitions", "Partitions, by state: live, closed or default", "outbox", "state")
KEPT_BYTES = gauge("outbox_kept_bytes", "Size of the partitions, by state", "outbox", "state")
HELD = gauge("outbox_retention_held", "Partitions past retention not yet removable, by reason", "outbox", "reason")
FAILURES = counter("outbox_retention_failures", "Failures of partition maintenance", "outbox")

AGAIN_S = 5.0

STATES = ("live", "closed", "default")
REASONS = ("paused", "unpublished", "busy")
"""Why a partition is held: by paused shards alone, by others too, or because its lock could not be had."""


@dataclass(frozen=True)
class Held:
    """An expired partition and the reason for keeping it."""

    name: str
    reason: str
    shards: tuple[int, ...]


def maintain(partitions: Partitions, ahead: int) -> dict[str, str]:
    """Create, close and drop due partitions, one transaction each; return each partition's result."""
    outcomes = {f"{day:%Y-%m-%d}": partitions.make(day) for day in partitions.missing_days(ahead)}
    for partition in partitions.catalogue():
        state = partition.state
        if state == "live" and partition.over:
            outcomes[partition.name] = state = partitions.close(partition.name)
        if state == "closed" and partition.old:
            outcomes[partition.name] = partitions.drop(partition.name)
    if partitions.retention_days:
        outcomes["default"] = partitions.empty_default()
    return outcomes


def held(catalogue: Sequence[Partition], paused: Sequence[int]) -> list[Held]:
    """Return expired partitions still present."""
    return [Held(one.name, _reason(one, paused), tuple(one.held_by)) for one in catalogue if one.old]


def _reason(partition: Partition, paused: Sequence[int]) -> str:
    if not partition.held_by:
        return "busy"
    return "paused" if set(partition.held_by) <= set(paused) else "unpublished"


class Retention:
    """Maintain one outbox's partitions until stopped, recovering from failures."""

    def __init__(self, source: OutboxSource, settings: Settings, health: Health) -> None:
        self._source = source
        self._health = health
        self._condition = f"partitions {source.name}"
        health.add(self._condition, settings.relay_maintenance_s + UPKEEP_LIMIT_S)
        self._settings = settings
        self._known_held: list[Held] = []

    def run(self, stop: threading.Event) -> None:
        """Make a round at once and every `EXITFLOW_RELAY_MAINTENANCE_S` seconds until `stop` is set.

        A failed round is repeated after `AGAIN_S`.
        """
        while not stop.is_set():
            try:
                self.look_after()
                self._health.fine(self._condition)
            except psycopg.Error as error:
                FAILURES.labels(self._source.name).inc()
                self._health.problem(self._condition, f"cannot be looked after: {reason(error)}")
                log.warning("%s: partitions: %s", self._source.condition, first_line(error))
                stop.wait(min(AGAIN_S, self._settings.relay_maintenance_s))
            else:
                stop.wait(self._settings.relay_maintenance_s)

    def look_after(self) -> None:
        """Run one round: maintain unless another relay does, then report held partitions.

        Raises
        ------
        psycopg.Error
            The database does not answer, or refuses.
        """
        with closing(self._connect()) as connection:
            partitions = Partitions(connection, self._settings.relay_retention_days)
            if partitions.try_lock():
                self._tell(maintain(partitions, self._settings.relay_partitions_ahead))
            self._show(partitions.catalogue(), partitions.paused_shards())

    def _connect(self) -> Connection:
        connection = connect(self._source.url, self._source.schema, UPKEEP)
        # The progress behind a drop must be on disk before the partition goes; and DEFAULT is read whole.
        connection.execute("SET synchronous_commit = on")
        connection.execute("SET enable_seqscan = on")
        return connection

    def _tell(self, outcomes: dict[str, str]) -> None:
        for name, outcome in outcomes.items():
            level = logging.INFO if outcome in ("made", "closed", "dropped", "emptied") else logging.DEBUG
            log.log(level, "%s: partition %s: %s", self._source.condition, name, outcome)

    def _show(self, catalogue: list[Partition], paused: list[int]) -> None:
        for state in STATES:
            of_state = [partition for partition in catalogue if partition.state == state]
            PARTITIONS.labels(self._source.name, state).set(len(of_state))
            KEPT_BYTES.labels(self._source.name, state).set(sum(partition.bytes for partition in of_state))
        found = held(catalogue, paused)
        by_reason = Counter(one.reason for one in found)
        for why in REASONS:
            HELD.labels(self._source.name, why).set(by_reason[why])
        if found != self._known_held:
            for one in found:
                log.warning("%s: %s is kept, %s, shards %s", self._source.condition, one.name, one.reason, one.shards)
            self._known_held = found
