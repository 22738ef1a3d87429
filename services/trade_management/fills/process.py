"""Process ``trade-fills``."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Engine

from services.trade_management.execution.approval_events import approved_exits
from services.trade_management.execution.exit_executor import ExitExecutor, exit_executor
from services.trade_management.fills.batch import FillBatches
from services.trade_management.fills.consumer import FILLS, FillConsumer, OnRecords
from services.trade_management.fills.lanes import FillLanes
from services.trade_management.fills.waiting_fills import WaitingFills
from services.trade_management.trade_management_service import TradeManagementService
from services.trade_management.user_brokers.feed import CONDITION as USER_BROKERS
from services.trade_management.user_brokers.feed import UserBrokerFeed
from shared.clock import Clock
from shared.contracts.topics import EXIT_INTENTS, TopicNames
from shared.kafka.clients import open_producer
from shared.kafka.confirmed_producer import ConfirmedProducer
from shared.kafka.dead_letters import DeadLetters
from shared.kafka.gap_report import CONDITION as GAPS
from shared.kafka.topic_watch import CONDITION as KAFKA
from shared.outbox.signatures import TrustedKeys, event_signer, exit_event_keys
from shared.outbox.writing import Outbox
from shared.postgres.connection_limits import LOOPS
from shared.postgres.engine import BY_INDEX
from shared.postgres.pruning import Pruned
from shared.postgres.revisions import TRADE_MANAGEMENT
from shared.postgres.row_locks import ROW_LOCK_TIMEOUT_MS
from shared.runtime.catalogue import TRADE_FILLS
from shared.runtime.health import Health
from shared.runtime.process import ProcessSpec, RunningProcess
from shared.settings import Settings

DEAD_LETTER_TIMEOUT_MS = 10_000
"""Shorter than the flush timeout, so a flush always learns the result of every dead letter."""


def build(process: RunningProcess) -> None:
    """Add the consumer of fills, the retry of waiting fills, the feed of user brokers and the execution of exits.

    Raises
    ------
    ConfigurationError
        The database is not set, or trade management executes exits and has no token for it.
    """
    settings, health, clock = process.settings, process.health, process.clock
    limits = replace(LOOPS, lock_ms=ROW_LOCK_TIMEOUT_MS)  # of the session: in each transaction it would be a statement
    engine = process.open_database(settings.require_trade_database(), TRADE_MANAGEMENT, limits, planner=BY_INDEX)
    process.prune(engine, Pruned.INBOX, settings.inbox_keep_days)
    health.fine(FILLS)
    executor = exit_executor(settings, engine, health, clock)
    on_records = None if executor is None else _hear_of_exits(executor, exit_event_keys(settings))
    process.threads.add("fills", fill_consumer(settings, engine, health, clock, on_records).run)
    process.threads.add("waiting-fills", waiting_fills(settings, engine, health, clock).run)
    process.threads.add("user-brokers", user_broker_feed(settings, engine, health, clock).run)
    if executor is not None:
        process.threads.add("execution", executor.run)


def fill_consumer(
    settings: Settings,
    engine: Engine,
    health: Health,
    clock: Clock,
    on_records: OnRecords | None = None,
) -> FillConsumer:
    """Return a consumer for the settings' environment, not started."""
    topics = TopicNames(settings.kafka_topic_prefix)
    batches = _batches(settings, engine, clock)
    lanes = FillLanes(batches.apply)
    return FillConsumer(settings, engine, topics.on_cluster(EXIT_INTENTS), lanes, health, clock, on_records)


def _hear_of_exits(executor: ExitExecutor, trusted: TrustedKeys) -> OnRecords:
    return lambda records: executor.hear(approved_exits(records, trusted))


def waiting_fills(settings: Settings, engine: Engine, health: Health, clock: Clock) -> WaitingFills:
    """Return the retry of waiting fills, not started; its dead letters have a separate producer."""
    return WaitingFills(engine, _batches(settings, engine, clock), health)


def user_broker_feed(settings: Settings, engine: Engine, health: Health, clock: Clock) -> UserBrokerFeed:
    """Return the feed of user brokers for the settings' environment, not started."""
    return UserBrokerFeed(settings, engine, _dead_letters(settings), exit_event_keys(settings), health, clock)


def _batches(settings: Settings, engine: Engine, clock: Clock) -> FillBatches:
    outbox = Outbox(TopicNames(settings.kafka_topic_prefix), clock, event_signer(settings))
    service, trusted = TradeManagementService(clock), exit_event_keys(settings)
    return FillBatches(engine, outbox, clock, service, _dead_letters(settings), trusted)


def _dead_letters(settings: Settings) -> DeadLetters:
    return DeadLetters(ConfirmedProducer(open_producer(settings, message_timeout_ms=DEAD_LETTER_TIMEOUT_MS)))


PROCESS = ProcessSpec(TRADE_FILLS, build, conditions=(KAFKA, FILLS, GAPS, USER_BROKERS))
