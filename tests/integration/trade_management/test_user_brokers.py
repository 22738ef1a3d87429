"""Trades may name the user brokers of operations.controls.v1, and no others."""

from __future__ import annotations

from datetime import timedelta

import psycopg
from confluent_kafka import Message
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text

from services.trade_management.fills.process import user_broker_feed
from services.trade_management.storage.user_brokers import UserBrokerRepository
from shared.clock import SystemClock
from shared.contracts.controls import ControlEvent, KillSwitchChanged
from shared.contracts.topics import OPERATIONS_CONTROLS, TopicNames, dead_letter_topic
from shared.contracts.vocabulary import KillSwitchMode
from shared.ids import new_id
from shared.kafka.clients import flush_or_fail, headers_of, open_consumer, open_producer
from shared.runtime.health import Health
from shared.runtime.stopping import Stop
from shared.runtime.threads import ThreadGroup
from shared.settings import Settings
from tests.integration.trade_management.conftest import user_broker
from tests.integration.trade_management.test_trade_api import post
from tests.support.servers import Database
from tests.support.signing import signed
from tests.support.waiting import LIMIT_S, wait_until


def test_a_trade_at_an_unknown_user_broker_is_refused(client: TestClient, trade_engine: Engine) -> None:
    refused = post(client, user_broker_id="papier")
    assert (refused.status_code, refused.json()["code"]) == (422, "unknown_user_broker")
    assert "papier" in refused.json()["detail"]
    assert client.get("/trades").json()["items"] == []


def test_a_user_broker_that_is_disconnected_may_be_named(client: TestClient, trade_engine: Engine) -> None:
    with trade_engine.begin() as connection:
        UserBrokerRepository(connection).apply([user_broker("second", "DISCONNECTED")])
    assert post(client, user_broker_id="second").status_code == 201


def test_a_held_account_takes_no_trade_until_it_is_released(client: TestClient, trade_engine: Engine) -> None:
    told = user_broker("paper")
    held = told.model_copy(update={"entries_held_since": told.changed_at, "entries_held_reason": "lost 1000.00"})
    with trade_engine.begin() as connection:
        UserBrokerRepository(connection).apply([held])
    refused = post(client)
    assert (refused.status_code, refused.json()["code"]) == (409, "account_held")
    assert "lost 1000.00" in refused.json()["detail"]
    assert "exitflow accounts release paper" in refused.json()["detail"]
    with trade_engine.begin() as connection:
        UserBrokerRepository(connection).apply([user_broker("paper")])
    assert post(client).status_code == 201


def test_without_known_user_brokers_a_trade_may_be_retried(client: TestClient, database: Database) -> None:
    with psycopg.connect(database.admin_url) as connection:
        connection.execute("DELETE FROM trade_management.user_brokers")
    refused = post(client)
    assert (refused.status_code, refused.json()["code"]) == (503, "user_brokers_not_known")
    assert refused.json()["retryable"] is True


def test_an_older_event_changes_nothing(trade_engine: Engine) -> None:
    newer = user_broker("paper", "DISCONNECTED")
    older = newer.model_copy(update={"status": "CONNECTED", "changed_at": newer.changed_at - timedelta(seconds=1)})
    with trade_engine.begin() as connection:
        UserBrokerRepository(connection).apply([newer, older])
    assert known(trade_engine) == {"paper": "DISCONNECTED"}


def test_the_topic_is_followed_and_foreign_events_are_dead_letters(
    settings: Settings, topics: TopicNames, trade_engine: Engine
) -> None:
    changed_at = SystemClock().now()
    put(settings, topics, user_broker("second"))
    put(settings, topics, KillSwitchChanged(mode=KillSwitchMode.ALL, reason="x", changed_by="x", changed_at=changed_at))
    put(settings, topics, user_broker("third"), value=b'{"user_broker_id": 3}')
    put(settings, topics, user_broker("forged"), is_signed=False)
    health, stop = Health(), Stop()
    feed = user_broker_feed(settings, trade_engine, health, SystemClock())
    with ThreadGroup(stop).add("user-brokers", feed.run):
        wait_until(lambda: "second" in known(trade_engine), "the beginning is read")
        put(settings, topics, user_broker("second", "DISCONNECTED"))
        wait_until(lambda: known(trade_engine)["second"] == "DISCONNECTED", "a change is taken over")
        wait_until(lambda: not health.problems(), "the feed is well")
    assert known(trade_engine) == {"paper": "CONNECTED", "second": "DISCONNECTED"}
    codes = {headers_of(letter)["dlq_code"] for letter in dead_letters(settings, topics, 2)}
    assert codes == {"malformed_message", "untrusted"}


def test_a_missing_topic_is_reported_with_the_command_to_run(settings: Settings, trade_engine: Engine) -> None:
    health, stop = Health(), Stop()
    elsewhere = settings.model_copy(update={"kafka_topic_prefix": f"{settings.kafka_topic_prefix}none."})
    feed = user_broker_feed(elsewhere, trade_engine, health, SystemClock())
    with ThreadGroup(stop).add("user-brokers", feed.run):
        wait_until(lambda: "exitflow topics create" in str(health.problems()), "health says what to do")


def known(engine: Engine) -> dict[str, str]:
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT user_broker_id, status FROM user_brokers"))
        return {row.user_broker_id: row.status for row in rows}


def put(
    settings: Settings, topics: TopicNames, event: ControlEvent, value: bytes | None = None, *, is_signed: bool = True
) -> None:
    """Publish an event, or another value in its place."""
    producer = open_producer(settings)
    name, payload = topics.on_cluster(OPERATIONS_CONTROLS), value or event.payload()
    headers = {"ce_id": str(new_id()), "ce_type": event.event_type()}
    if is_signed:
        headers = signed(name, event.key, payload, headers)
    producer.produce(name, key=event.key, value=payload, headers=list(headers.items()))
    flush_or_fail(producer)


def dead_letters(settings: Settings, topics: TopicNames, count: int) -> list[Message]:
    """Return the first dead letters of the topic."""
    consumer = open_consumer(settings, "test")
    try:
        consumer.subscribe([topics.on_cluster(dead_letter_topic(OPERATIONS_CONTROLS))])
        return consumer.consume(count, timeout=LIMIT_S)
    finally:
        consumer.close()
