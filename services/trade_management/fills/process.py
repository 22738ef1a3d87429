"""Process trade-fills."""

from __future__ import annotations

from sqlalchemy import Engine

from services.trade_management.fills.batch import FillBatches
from services.trade_management.fills.consumer import FILLS, FillConsumer
from services.trade_management.fills.waiting_fills import WaitingFills, trying_again
from services.trade_management.trade_management_service import TradeManagementService
from services.trade_management.user_brokers.feed import CONDITION as USER_BROKERS
from services.trade_management.user_brokers.feed import UserBrokerFeed, following
from shared.clock import Clock, SystemClock
from shared.contracts.topics import EXIT_INTENTS, TopicNames
from shared.kafka.clients import open_producer
from shared.kafka.confirmed_producer import ConfirmedProducer
from shared.kafka.consumer_gaps import CONDITION as GAPS
from shared.kafka.dead_letters import DeadLetters
from shared.kafka.topic_watch import CONDITION as KAFKA
from shared.outbox.signatures import event_signer, exit_event_keys
from shared.outbox.writing import Outbox
from shared.postgres.connection_limits import LOOPS
from shared.postgres.engine import open_engine
from shared.postgres.health_check import watch_database
from shared.postgres.pruning import Pruned, pruning
from shared.postgres.revisions import TRADE_MANAGEMENT
from shared.runtime.health import Health
from shared.runtime.process import Stop, health_server, stop_on_signals
from shared.settings import Settings

DEAD_LETTER_TIMEOUT_MS = 10_000
"""Shorter than the flush timeout, so a flush always learns the result of every dead letter."""


def main(settings: Settings) -> None:
    """Close trades by their fills until SIGTERM or SIGINT."""
    url = settings.require_trade_database()
    engine = open_engine(
        url,
        TRADE_MANAGEMENT,
        application="exitflow-trade-fills",
        pool_size=settings.database_pool_size,
        limits=LOOPS.within(settings.database_statement_timeout_s),
        pooler=settings.database_pooler,
    )
    stop, health = stop_on_signals(), Health(KAFKA, FILLS, GAPS, deadline_s=settings.health_deadline_s)
    health.add(USER_BROKERS)
    health.fine(FILLS)
    watch = watch_database(url, TRADE_MANAGEMENT, health, deadline_s=settings.health_deadline_s)
    waiting = waiting_fills(settings, engine, health, SystemClock())
    with (
        health_server("exitflow trade-fills", settings, health),
        watch,
        trying_again(waiting),
        following(user_broker_feed(settings, engine, health, SystemClock()), stop),
        pruning(engine, Pruned.INBOX, settings.inbox_keep_days, settings.prune_every_s),
    ):
        fill_consumer(settings, engine, health, SystemClock(), stop).run()
    engine.dispose()


def fill_consumer(settings: Settings, engine: Engine, health: Health, clock: Clock, stop: Stop) -> FillConsumer:
    """Return a consumer for the settings' environment, not started."""
    topics = TopicNames(settings.kafka_topic_prefix)
    batches = _batches(settings, engine, clock)
    return FillConsumer(settings, engine, topics.on_cluster(EXIT_INTENTS), batches, health, clock, stop)


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
