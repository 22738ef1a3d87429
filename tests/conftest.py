"""What every test may ask for: the servers, a database and topics of its own, and settings that name them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path

import hypothesis
import pytest
from hypothesis import HealthCheck
from pydantic import SecretStr

from deploy.local.kafka.broker import Broker
from deploy.local.kafka.selection import KafkaChoice, decide
from deploy.local.postgres.postgres import EmbeddedPostgres
from shared.contracts.topics import TopicNames
from shared.ids import new_id
from shared.kafka.topic_changes import create_topics
from shared.settings import Settings
from tests.support.memory_disk import parent, remove_leftovers
from tests.support.servers import (
    TEST_PARTITIONS,
    Database,
    Databases,
    delete_topics,
    running_kafka,
    running_postgres,
)
from tests.support.signing import sign_what_tests_write

sign_what_tests_write()
# A busy machine is no fault of what is tested.
hypothesis.settings.register_profile("exitflow", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis.settings.load_profile("exitflow")


def wanted_kafka() -> KafkaChoice:
    """The broker of this session: EXITFLOW_TEST_KAFKA, auto unless set."""
    return KafkaChoice(os.environ.get("EXITFLOW_TEST_KAFKA", "auto"))


@cache
def is_apache() -> bool:
    """Whether this session's broker is Apache Kafka."""
    return decide(wanted_kafka()).kafka is KafkaChoice.APACHE


def pytest_report_header() -> str:
    """Say where the data of servers is."""
    return f"servers keep their data in {parent()}"


def pytest_sessionstart() -> None:
    """Give back what killed sessions hold."""
    remove_leftovers()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In a suite of several workers, begin with the longest files: the short ones at the end even the workers out."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    if item.get_closest_marker("long"):
        return -1
    kinds = ("chaos", "integration")
    kind = item.path.relative_to(Path(__file__).parent).parts[0]
    return kinds.index(kind) if kind in kinds else len(kinds)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, by name, what only Apache Kafka can show."""
    if item.get_closest_marker("apache") and not is_apache():
        pytest.skip("needs Apache Kafka; this session runs on Tansu")


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """The session's PostgreSQL server."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def kafka() -> Iterator[Broker]:
    """The session's Kafka broker."""
    with running_kafka(wanted_kafka()) as broker:
        yield broker


@pytest.fixture(scope="session")
def databases(postgres: EmbeddedPostgres) -> Iterator[Databases]:
    """Where databases come from."""
    with closing(Databases(postgres)) as found:
        yield found


@pytest.fixture
def database(databases: Databases) -> Iterator[Database]:
    """A database of the test's own, both histories at head."""
    with databases.fresh() as fresh:
        yield fresh


@pytest.fixture
def empty_database(databases: Databases) -> Iterator[Database]:
    """A database of the test's own, the roles made and no migration run."""
    with databases.empty() as empty:
        yield empty


@pytest.fixture
def settings(database: Database, kafka: Broker) -> Settings:
    """Settings of an environment that is the test's own, with the services' own roles."""
    environment = f"t{new_id().hex}."
    return Settings(
        exit_database_url=SecretStr(database.exit_url),
        trade_database_url=SecretStr(database.trade_url),
        kafka_bootstrap_servers=kafka.bootstrap_servers,
        kafka_topic_prefix=environment,
        kafka_consumer_prefix=f"{environment}exitflow",
        kafka_session_timeout_s=3 if is_apache() else 6,
        kafka_watch_s=0.2,
        topic_partitions=TEST_PARTITIONS,
        tick_poll_ms=50,  # a worker stops after so long
    )


@pytest.fixture
def relay_settings(settings: Settings, database: Database) -> Settings:
    """The same environment as the relay's role sees it."""
    return settings.model_copy(
        update={
            "exit_database_url": SecretStr(database.relay_exit_url),
            "trade_database_url": SecretStr(database.relay_trade_url),
        }
    )


@pytest.fixture
def topics(settings: Settings) -> Iterator[TopicNames]:
    """The environment's topics, made; deleted afterwards."""
    names = TopicNames(settings.kafka_topic_prefix)
    create_topics(settings, names.all_on_cluster())
    yield names
    delete_topics(settings.kafka_bootstrap_servers, settings.kafka_topic_prefix)
