"""The processes at work on a cluster with separate rights for each of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from functools import partial
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import TopicPartition
from sqlalchemy.engine import make_url

from deploy.local.kafka.security import ADMIN
from services.cli.support.tick_sender import TickSender
from shared.clock import SystemClock
from shared.contracts.controls import UserBrokerChanged
from shared.contracts.events import Event
from shared.contracts.exits import ExitSignalPublished
from shared.contracts.ticks import Tick
from shared.contracts.topics import EXIT_INTENTS, EXIT_SIGNALS, MARKET_TICKS, TopicNames, dead_letter_topic
from shared.contracts.trades import TradeOpened
from shared.kafka.clients import headers_of, open_admin, open_consumer
from shared.kafka.topics import bounds_of
from shared.outbox.writing import Outbox
from shared.postgres.connection_limits import LOOPS
from shared.postgres.engine import open_engine
from shared.postgres.revisions import EXIT_QUALIFICATION, TRADE_MANAGEMENT
from tests.integration.health.fleet import running_fleet
from tests.integration.kafka_rights.conftest import SecuredKafka
from tests.support.servers import Database
from tests.support.signing import SIGNER
from tests.support.trades import opened
from tests.support.waiting import wait_until

pytestmark = pytest.mark.apache

ON_KAFKA = ("relay", "exit-ticks", "trade-fills", "paper-broker")
LIMIT_S = 60


def test_the_processes_do_their_work_with_their_own_rights(
    secured: SecuredKafka, database: Database, tmp_path: Path
) -> None:
    def own(name: str) -> dict[str, str]:
        return {**secured.environment(name), "EXITFLOW_PAPER_BROKER_DIR": str(tmp_path / "paper-broker")}

    port = make_url(database.admin_url).port or 0
    trade = opened()
    broker = UserBrokerChanged(
        user_broker_id="second", broker="kite", status="CONNECTED", changed_at=SystemClock().now()
    )
    with psycopg.connect(database.admin_url) as connection:
        connection.execute("UPDATE exit_qualification.rollout SET mode = 'full'")
    with running_fleet(secured.settings("relay"), database, port, tmp_path, ON_KAFKA, own) as fleet:
        write(database.exit_url, EXIT_QUALIFICATION, broker)
        write(database.trade_url, TRADE_MANAGEMENT, trade)
        fleet.all_ready()
        known = "SELECT 1 FROM trade_management.user_brokers WHERE user_broker_id = 'second'"
        wait_until(found(database, known), "trade-fills learns of the user broker", LIMIT_S)
        projected = "SELECT 1 FROM exit_qualification.open_trades"
        wait_until(found(database, projected), "exit-ticks learns of the trade", LIMIT_S)
        send_tick(secured, trade)
        wait_until(lambda: signals_of(secured, trade) == 1, "the relay publishes the signal", LIMIT_S)
        for topic in (MARKET_TICKS, EXIT_INTENTS):
            has_letter = partial(has_more_than_one, secured, dead_letter_topic(topic))
            wait_until(has_letter, f"a malformed record of {topic} is a dead letter", LIMIT_S)
        fleet.all_ready()


def write(url: str, schema: str, event: Event) -> None:
    """Commit an event to the outbox of a service."""
    engine = open_engine(url, schema, application="test", limits=LOOPS)
    with engine.begin() as connection:
        Outbox(TopicNames(), SystemClock(), SIGNER).append(connection, [event])
    engine.dispose()


def found(database: Database, query: str) -> Callable[[], bool]:
    """Return a condition: the query has a row."""

    def has_row() -> bool:
        with psycopg.connect(database.admin_url) as connection:
            return connection.execute(query).fetchone() is not None

    return has_row


def send_tick(secured: SecuredKafka, trade: TradeOpened) -> None:
    """Send a tick at the target of the trade, as the market's user."""
    sender = TickSender(secured.settings("market-data"))
    sender.send(Tick(symbol=trade.symbol, ltp=Decimal("1011.00"), ts=SystemClock().now(), seq=1))
    sender.flush()


def has_more_than_one(secured: SecuredKafka, topic: str) -> bool:
    """Return True if a topic has more than its first record."""
    return bounds_of(open_admin(secured.settings(ADMIN)), [(topic, 0)])[topic, 0].end > 1


def signals_of(secured: SecuredKafka, trade: TradeOpened) -> int:
    """Return how many signals of the trade another team's reader finds."""
    with closing(open_consumer(secured.settings("reader"), "reader-test")) as consumer:
        consumer.assign([TopicPartition(EXIT_SIGNALS, 0, 0)])
        records = consumer.consume(1000, 1)
    types = [headers_of(each).get("ce_type") for each in records if each.key() == str(trade.trade_id).encode()]
    return types.count(ExitSignalPublished.event_type())
