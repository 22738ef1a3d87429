"""The relay of one outbox: run sessions, with exponential back-off after failures."""

from __future__ import annotations

import logging
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import psycopg
from confluent_kafka import KafkaException

from services.outbox_relay.database.connection import Connection, connect
from services.outbox_relay.metrics import RelayMetrics
from services.outbox_relay.parking.parked_events import ParkedEventStore
from services.outbox_relay.parking.parked_keys import ParkedKeys
from services.outbox_relay.parking.quarantine import Precautions, Quarantine
from services.outbox_relay.parking.replays import Replays
from services.outbox_relay.parking.suspects import Suspects
from services.outbox_relay.publishing.publisher import Publisher
from services.outbox_relay.publishing.refusals import BlockedTopics
from services.outbox_relay.publishing.single_record_sender import SingleRecordSender
from services.outbox_relay.publishing.topic_layouts import TopicLayouts
from services.outbox_relay.reading.commit_signal import CommitSignal
from services.outbox_relay.reading.windows import WindowReader
from services.outbox_relay.restore.log_check import LogCheck
from services.outbox_relay.session import Session, longest_batch
from services.outbox_relay.shard_holder import ShardHolder
from services.outbox_relay.shards.leases import Leases
from services.outbox_relay.shards.progress_store import ProgressStore
from shared.back_off import BackOff
from shared.clock import Clock, rfc3339
from shared.errors import ConfigurationError, ExitflowError, first_line
from shared.kafka.clients import open_admin
from shared.postgres.failures import reason
from shared.runtime.health import Health
from shared.runtime.stopping import Stop
from shared.settings import Settings

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0
STEADY_S = 2.0
"""After a failure, a relay is ready again once a session lasted so long."""

CALM_S = 10
"""After a session of this length the next pause is the first again."""


@dataclass(frozen=True)
class OutboxSource:
    """An outbox: its name in settings, metrics and health, and where it is."""

    name: str
    schema: str
    url: str

    @property
    def condition(self) -> str:
        """Return the condition's name in `/readyz`."""
        return f"relay {self.name}"


class OutboxRelay:
    """Publish one outbox until stopped, recovering from failures."""

    def __init__(self, source: OutboxSource, settings: Settings, clock: Clock, relay_id: UUID, health: Health) -> None:
        self._source = source
        self._settings = settings
        self._clock = clock
        self._relay_id = relay_id
        self._health = health
        self._metrics = RelayMetrics(source.name, clock)
        self._admin = open_admin(settings)
        self._log_check = LogCheck(source.schema, settings, self._admin, clock)
        self._precautions = Precautions(Suspects(), BlockedTopics(clock))
        self._failing_since: datetime | None = None
        self._began_at = clock.monotonic()
        self._back_off = BackOff(FIRST_PAUSE_S, LONGEST_PAUSE_S)

    def run(self, stop: Stop) -> None:
        """Publish until `stop` is set.

        Raises
        ------
        ConfigurationError
            This relay must not run on this database as it is.
        """
        while not stop.is_set():
            self._began_at = self._clock.monotonic()
            try:
                self._run_session(stop)
            except ConfigurationError:
                raise
            except psycopg.Error as error:
                self._failed("database", f"the database does not answer ({reason(error)})", error)
            except KafkaException as error:
                self._failed("kafka", first_line(error), error)
            except ExitflowError as error:
                self._failed(error.code, first_line(error), error)
            else:
                return
            if self._lasted_s() > CALM_S:
                self._back_off.reset()
            self._back_off.wait(stop)

    def _run_session(self, stop: Stop) -> None:
        with closing(self._connect()) as connection:
            self._health.note(self._source.condition, self._log_check.refuse_if_behind(connection))
            layouts = TopicLayouts(self._source.name, connection, self._admin, self._clock)
            publisher = Publisher(self._settings, self._clock, self._metrics.refused, layouts.partition_of)
            progress_store = ProgressStore(connection)
            store, keys, precautions = ParkedEventStore(connection, progress_store), ParkedKeys(), self._precautions
            trials, repeats = (
                SingleRecordSender(self._settings, self._metrics.refused, layouts.partition_of) for _ in range(2)
            )
            leases = Leases(connection, self._clock, self._relay_id, self._settings.relay_lease_s)
            quarantine = Quarantine(store, keys, trials, precautions, self._settings.relay_batch_size)
            replays = Replays(store, keys, repeats, precautions.blocked_topics, self._metrics.published)
            session = Session(
                ShardHolder(leases, progress_store, quarantine, replays, self._metrics),
                WindowReader(self._connect, longest_batch(self._settings.relay_batch_size), self._clock),
                publisher,
                quarantine,
                replays,
                layouts,
                CommitSignal(connection, self._source.schema, self._clock),
                self._metrics,
                self._settings,
                self._clock,
            )
            session.run(stop, on_tended=lambda: self._report(publisher.answers.silent_since()))

    def _connect(self) -> Connection:
        return connect(self._source.url, self._source.schema)

    def _report(self, silent_since: datetime | None) -> None:
        if silent_since is not None:
            self._problem(f"Kafka does not answer since {rfc3339(silent_since.replace(microsecond=0))}")
            return
        if self._failing_since is not None:
            if self._lasted_s() < STEADY_S:
                return
            log.info("%s: at work again", self._source.condition)
        self._failing_since = None
        self._health.fine(self._source.condition)

    def _failed(self, code: str, what: str, error: Exception) -> None:
        """Report `what` in health; log the error's text, as it names hosts and roles."""
        self._metrics.failed(code)
        log.warning("%s: %s", self._source.condition, first_line(error))
        self._failing_since = self._failing_since or self._clock.now()
        self._problem(f"{what} (since {rfc3339(self._failing_since)})")

    def _problem(self, what: str) -> None:
        self._health.problem(self._source.condition, what)

    def _lasted_s(self) -> float:
        return self._clock.monotonic() - self._began_at
