"""Each user of the cluster can do its own work and is refused everything else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import partial

import pytest
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewPartitions, NewTopic

from deploy.local.kafka.security import ADMIN
from services.cli.support.topics_adoption import plan
from shared.contracts.topics import EXIT_INTENTS
from shared.errors import ConfigurationError
from shared.kafka.clients import open_admin, open_consumer, open_producer
from shared.kafka.rights import EVERY_TOPIC, OPERATOR, RIGHTS
from shared.kafka.topics import bounds_of, require_topics
from shared.settings import Settings
from tests.integration.kafka_rights.conftest import SecuredKafka
from tests.support.waiting import wait_until
from tests.unit.cli.results import Result

pytestmark = pytest.mark.apache

USERS = sorted(RIGHTS)
DENIED = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    }
)
UNKNOWN_TOPIC = "unknown.topic.v1"
ANSWER_S = 30
GROUPS = {
    "exitflow-exit-ticks": "exit-ticks",
    "exitflow-trade-fills": "trade-fills",
    "exitflow-trade-fills-user-brokers": "trade-fills",
    "exitflow-paper-broker": "paper-broker",
    "exitflow-operator-check": OPERATOR,
    "exitflow-relay": "relay",
    "exitflow-reader-of-another-team": "reader",
}
"""The owner of each group with one."""


@pytest.mark.parametrize("user", USERS)
def test_a_user_writes_its_topics_and_no_other(secured: SecuredKafka, user: str) -> None:
    reports = sent(secured.settings(user), [*EVERY_TOPIC, UNKNOWN_TOPIC], enable_idempotence=False)
    assert {topic for topic, error in reports.items() if error is None} == set(RIGHTS[user].writes)
    assert {error.code() for error in reports.values() if error is not None} == {KafkaError.TOPIC_AUTHORIZATION_FAILED}


@pytest.mark.parametrize("user", [user for user in USERS if RIGHTS[user].writes])
def test_a_writer_may_use_the_producer_of_the_services(secured: SecuredKafka, user: str) -> None:
    assert set(sent(secured.settings(user), RIGHTS[user].writes).values()) == {None}


@pytest.mark.parametrize("user", USERS)
def test_a_user_reads_its_topics_and_no_other(secured: SecuredKafka, user: str) -> None:
    consumer = open_consumer(secured.settings(user), user)
    consumer.assign([TopicPartition(topic, 0, 0) for topic in EVERY_TOPIC])
    read, refused = set[str](), set[str]()
    visible = {*RIGHTS[user].reads, *RIGHTS[user].writes}

    def has_answers_of_all() -> bool:
        for message in consumer.consume(100, 0.1):
            error = message.error()
            assert error is None or error.code() in DENIED, error
            if topic := message.topic():
                (read if error is None else refused).add(topic)
        return read | refused >= visible

    wait_until(has_answers_of_all, "each topic that the user sees delivers a record or refuses")
    consumer.close()
    assert read == set(RIGHTS[user].reads)
    assert read & refused == set()


@pytest.mark.parametrize("user", USERS)
def test_a_user_watches_its_topics_and_sees_no_other(secured: SecuredKafka, user: str) -> None:
    admin = open_admin(secured.settings(user))
    watched = {*RIGHTS[user].reads, *RIGHTS[user].writes}
    assert set(admin.list_topics(timeout=ANSWER_S).topics) == watched
    assert set(require_topics(admin, watched)) == watched
    assert all(bounds.end >= 1 for bounds in bounds_of(admin, [(topic, 0) for topic in watched]).values())
    for topic in set(EVERY_TOPIC) - watched:
        assert code_of(partial(require_topics, admin, [topic])) == KafkaError.TOPIC_AUTHORIZATION_FAILED


@pytest.mark.parametrize("user", USERS)
def test_a_user_joins_and_commits_in_its_own_groups_alone(secured: SecuredKafka, user: str) -> None:
    topic = (RIGHTS[user].reads or RIGHTS[user].writes)[0]
    joined = groups_joined(secured.settings(user), GROUPS, topic)
    assert joined == {group for group, owner in GROUPS.items() if owner == user}


@pytest.mark.parametrize("user", USERS)
def test_a_user_changes_nothing_of_the_cluster(secured: SecuredKafka, user: str) -> None:
    admin = open_admin(secured.settings(user))
    retention = ConfigEntry("retention.ms", "1", incremental_operation=AlterConfigOpType.SET)
    shorter = ConfigResource(ResourceType.TOPIC, EXIT_INTENTS, incremental_configs=[retention])
    attempts: dict[str, Callable[[], object]] = {
        "create": lambda: admin.create_topics([NewTopic("another", 1, 1)]),
        "grow": lambda: admin.create_partitions([NewPartitions(EXIT_INTENTS, 9)]),
        "delete": lambda: admin.delete_topics([EXIT_INTENTS]),
        "configure": lambda: admin.incremental_alter_configs([shorter]),
        "drop group": lambda: admin.delete_consumer_groups(["exitflow-trade-fills"]),
    }
    assert {code_of(partial(outcome, attempt)) for attempt in attempts.values()} <= DENIED


@pytest.mark.parametrize("user", USERS)
def test_a_user_sees_every_group_only_if_it_adopts_partitions(secured: SecuredKafka, user: str) -> None:
    settings = secured.settings(user)
    if RIGHTS[user].sees_groups:
        assert plan(settings, {}, [EXIT_INTENTS]) == []
    else:
        with pytest.raises(ConfigurationError, match="user operator"):
            plan(settings, {}, [EXIT_INTENTS])


def test_a_forged_record_of_a_client_without_rights_is_refused(secured: SecuredKafka) -> None:
    make = {"kafka_security_protocol": "PLAINTEXT", "kafka_username": None, "kafka_password": None}
    plain = secured.settings("relay").model_copy(update=make)
    with pytest.raises(KafkaException):
        open_admin(plain).list_topics(timeout=2)
    before = end_of(secured, EXIT_INTENTS)
    (report,) = sent(plain, [EXIT_INTENTS], message_timeout_ms=1000, enable_idempotence=False).values()
    assert report is not None
    assert end_of(secured, EXIT_INTENTS) == before


@pytest.mark.parametrize("change", [{"kafka_password": "wrong"}, {"kafka_username": "stranger"}])
def test_a_wrong_password_or_an_unknown_user_reaches_nothing(secured: SecuredKafka, change: dict[str, str]) -> None:
    settings = Settings.model_validate(secured.settings("relay").model_dump() | change)
    with pytest.raises(KafkaException):
        open_admin(settings).list_topics(timeout=2)


def test_client_refuses_broker_not_certified_by_its_authority(secured: SecuredKafka) -> None:
    with pytest.raises(KafkaException):
        open_admin(secured.settings("relay").model_copy(update={"kafka_ca": None})).list_topics(timeout=2)


def test_no_topic_is_created_by_use(secured: SecuredKafka) -> None:
    administrator = secured.settings(ADMIN)
    sent(administrator, [UNKNOWN_TOPIC], message_timeout_ms=1000)
    assert set(open_admin(administrator).list_topics(timeout=ANSWER_S).topics) >= set(EVERY_TOPIC)
    assert UNKNOWN_TOPIC not in open_admin(administrator).list_topics(timeout=ANSWER_S).topics


def test_the_administrators_command_may_be_repeated(
    secured: SecuredKafka, exitflow: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in secured.environment(ADMIN).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("EXITFLOW_KAFKA_USERS", json.dumps(secured.passwords))
    told = exitflow("topics", "create", "--acls")
    assert (told.status, told.err) == (0, "")
    assert f"{len(RIGHTS)} users made" in told.out


@pytest.mark.parametrize("users", ["[]", "nonsense", '{"stranger": "x"}'])
def test_users_that_are_not_ours_are_refused(
    secured: SecuredKafka, exitflow: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, users: str
) -> None:
    for name, value in secured.environment(ADMIN).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("EXITFLOW_KAFKA_USERS", users)
    told = exitflow("topics", "acls")
    assert (told.status, "EXITFLOW_KAFKA_USERS" in told.err) == (2, True)


def sent(settings: Settings, topics: Iterable[str], **overrides: object) -> dict[str, KafkaError | None]:
    """Send one record to each topic and return the reports; None for an accepted record."""
    reports: dict[str, KafkaError | None] = {}

    def report(error: KafkaError | None, record: Message) -> None:
        reports[str(record.topic())] = error

    producer = open_producer(settings, **{"message_timeout_ms": 30_000, **overrides})
    for topic in topics:
        producer.produce(topic, value=b"{}", on_delivery=report)
    assert producer.flush(ANSWER_S) == 0
    return reports


def end_of(secured: SecuredKafka, topic: str) -> int:
    """Return the offset of the topic's next record."""
    return bounds_of(open_admin(secured.settings(ADMIN)), [(topic, 0)])[topic, 0].end


def groups_joined(settings: Settings, groups: Iterable[str], topic: str) -> set[str]:
    """Join every group at the same time; return those with a committed offset of the topic."""
    prefix = f"{settings.kafka_consumer_prefix}-"
    consumers = {group: open_consumer(settings, group.removeprefix(prefix)) for group in groups}
    outcomes: dict[str, bool] = {}
    for consumer in consumers.values():
        consumer.subscribe([topic])

    def each_is_in_or_refused() -> bool:
        for group in consumers.keys() - outcomes.keys():
            message = consumers[group].poll(0.05)
            if consumers[group].assignment():
                consumers[group].commit(offsets=[TopicPartition(topic, 0, 0)], asynchronous=False)
                outcomes[group] = True
            elif message is not None and (error := message.error()) is not None:
                assert error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED, error
                outcomes[group] = False
        return outcomes.keys() == consumers.keys()

    wait_until(each_is_in_or_refused, "each group takes the user in or refuses it")
    for consumer in consumers.values():
        consumer.close()
    return {group for group, is_in in outcomes.items() if is_in}


def outcome(attempt: Callable[[], object]) -> object:
    """Return the result of an administrator's request on one thing."""
    (future,) = attempt().values()  # type: ignore[attr-defined]  # untyped
    return future.result(ANSWER_S)


def code_of(action: Callable[[], object]) -> int | None:
    """Return the code of Kafka's error; None if there is none."""
    try:
        action()
    except KafkaException as error:
        return int(error.args[0].code())
    return None
