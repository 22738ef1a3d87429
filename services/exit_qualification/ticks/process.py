"""Process ``exit-ticks``."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import Engine

from services.exit_qualification.domain.exit_qualification_service import ExitQualificationService
from services.exit_qualification.signal_management_service import ExitTerms, SignalManagementService
from services.exit_qualification.terms import default_square_off
from services.exit_qualification.ticks.pipeline import TickPipeline
from services.exit_qualification.ticks.session import TickContext
from services.exit_qualification.ticks.side_outputs import Outgoing
from services.exit_qualification.ticks.worker import CONDITIONS, TickWorker
from shared.clock import SystemClock
from shared.contracts.topics import TopicNames
from shared.kafka.clients import open_producer
from shared.kafka.confirmed_producer import ConfirmedProducer
from shared.outbox.signatures import event_signer, trade_event_keys
from shared.outbox.writing import Outbox
from shared.postgres.connection_limits import LOOPS
from shared.postgres.engine import BY_INDEX, open_engine
from shared.postgres.row_locks import ROW_LOCK_TIMEOUT_MS
from shared.runtime.catalogue import EXIT_TICKS
from shared.runtime.health import Health
from shared.runtime.process import ProcessSpec, RunningProcess
from shared.settings import Settings

SCHEMA = "exit_qualification"

STALL_LIMIT_MS = 10_000
"""Time after which a worker stalled in a transaction loses it: another can claim its partitions."""

OUTGOING_TIMEOUT_MS = 10_000


def build(process: RunningProcess) -> None:
    """Add the worker; on stopping it finishes its batch and leaves the group."""
    settings, health = process.settings, process.health
    database = open_database(settings)
    process.resources.callback(database.dispose)
    process.watch_database(settings.require_exit_database(), SCHEMA)
    process.threads.add("ticks", build_worker(settings, health, database).run)


def open_database(settings: Settings) -> Engine:
    """Open the exit database for a worker.

    Idle transactions time out: they cannot hold partitions for long. No statement waits long for a row of
    another transaction, but the claims of partitions (`limit_lock_waits`).
    """
    limits = LOOPS.within(settings.database_statement_timeout_s)
    return open_engine(
        settings.require_exit_database(),
        SCHEMA,
        application=settings.process,
        pool_size=settings.database_pool_size,
        limits=replace(limits, idle_in_transaction_ms=STALL_LIMIT_MS, lock_ms=ROW_LOCK_TIMEOUT_MS),
        pooler=settings.database_pooler,
        planner=BY_INDEX,
    )


def build_worker(settings: Settings, health: Health, database: Engine) -> TickWorker:
    """Return a worker for these settings."""
    clock = SystemClock()
    topics = TopicNames(settings.kafka_topic_prefix)
    terms = ExitTerms(
        cooldown=timedelta(seconds=settings.cooldown_s), intent_ttl=timedelta(seconds=settings.intent_ttl_s)
    )
    signals = SignalManagementService(terms, clock, ExitQualificationService())
    context = TickContext(
        settings=settings,
        clock=clock,
        health=health,
        pipeline=TickPipeline(database, Outbox(topics, clock, event_signer(settings)), signals, health),
        outgoing=Outgoing(_outgoing_producer(settings), topics, clock),
        trusted=trade_event_keys(settings),
        square_off=default_square_off(settings),
    )
    return TickWorker(context, database)


def _outgoing_producer(settings: Settings) -> ConfirmedProducer:
    return ConfirmedProducer(open_producer(settings, message_timeout_ms=OUTGOING_TIMEOUT_MS))


PROCESS = ProcessSpec(EXIT_TICKS, build, conditions=CONDITIONS)
