"""The process trade-fills."""

from __future__ import annotations

from sqlalchemy import Engine

from services.trade_management.fills.batch import FillBatches
from services.trade_management.fills.consumer import FILLS, FillConsumer
from services.trade_management.fills.waiting_fills import WaitingFills, trying_again
from services.trade_management.trade_management_service import TradeManagementService
from shared.certain_producer import CertainProducer
from shared.clock import Clock, SystemClock
from shared.consumer_gaps import CONDITION as GAPS
from shared.contracts.topics import EXIT_INTENTS, TopicNames
from shared.database_health import CONDITION, watch_database
from shared.db import open_engine
from shared.dead_letters import DeadLetters
from shared.health import Health
from shared.kafka import open_producer
from shared.migrations import TRADE_MANAGEMENT
from shared.outbox import Outbox
from shared.process import Stop, health_server, stop_on_signals
from shared.settings import Settings
from shared.signatures import event_signer, exit_event_keys
from shared.topic_watch import CONDITION as KAFKA

DEAD_LETTER_TIMEOUT_MS = 10_000
"""Shorter than the flush waits, so that a flush always learns what became of every dead letter."""


def main(settings: Settings) -> None:
    """Close trades by their fills until SIGTERM or SIGINT."""
    engine = open_engine(
        settings.require_trade_database(),
        TRADE_MANAGEMENT,
        application="exitflow-trade-fills",
        pool_size=settings.database_pool_size,
    )
    stop, health = stop_on_signals(), Health(CONDITION, KAFKA, FILLS, GAPS, deadline_s=settings.health_deadline_s)
    health.fine(FILLS)
    waiting = waiting_fills(settings, engine, health, SystemClock())
    with (
        health_server("exitflow trade-fills", settings, health),
        watch_database(engine, health),
        trying_again(waiting),
    ):
        fill_consumer(settings, engine, health, SystemClock(), stop).run()
    engine.dispose()


def fill_consumer(settings: Settings, engine: Engine, health: Health, clock: Clock, stop: Stop) -> FillConsumer:
    """A consumer of the environment that the settings name, not started."""
    topics = TopicNames(settings.kafka_topic_prefix)
    batches = _batches(settings, engine, clock)
    return FillConsumer(settings, engine, topics.on_cluster(EXIT_INTENTS), batches, health, clock, stop)


def waiting_fills(settings: Settings, engine: Engine, health: Health, clock: Clock) -> WaitingFills:
    """What tries the waiting fills of the environment again, not started; its dead letters have their own producer."""
    return WaitingFills(engine, _batches(settings, engine, clock), health)


def _batches(settings: Settings, engine: Engine, clock: Clock) -> FillBatches:
    producer = CertainProducer(open_producer(settings, message_timeout_ms=DEAD_LETTER_TIMEOUT_MS))
    outbox = Outbox(TopicNames(settings.kafka_topic_prefix), clock, event_signer(settings))
    return FillBatches(
        engine, outbox, clock, TradeManagementService(clock), DeadLetters(producer), exit_event_keys(settings)
    )
