"""The rights of each container, and its secrets."""

from __future__ import annotations

import json

import pytest
from confluent_kafka import KafkaError, Producer

from deploy.compose.secret_files import ContainerCredentials, secret_files
from deploy.local.postgres.databases import embedded_databases
from shared.contracts.topics import EXIT_INTENTS
from shared.runtime.catalogue import PROCESSES
from tests.compose.containers import ONE_SHOTS, Containers

LAID_OUT = secret_files(
    embedded_databases("postgresql://postgres:pw@postgres:5432/exitflow", ContainerCredentials()),
    ContainerCredentials(),
)
MAY_NOT_EXIT = (
    "SELECT 1 FROM trade_management.trades",
    "CREATE TABLE exit_qualification.mine (a int)",
    "ALTER TABLE exit_qualification.exit_intents ADD COLUMN mine int",
    "UPDATE exit_qualification.api_tokens SET scopes = '{read,trade,operate,admin}'",
    "DELETE FROM exit_qualification.audit_log",
)
MAY_NOT_TRADE = (
    "SELECT 1 FROM exit_qualification.exit_intents",
    "CREATE TABLE trade_management.mine (a int)",
    "DROP TABLE trade_management.trades",
    "UPDATE trade_management.api_tokens SET scopes = '{read,trade,operate,admin}'",
)
MAY_NOT_RELAY = (
    "SELECT 1 FROM exit_qualification.exit_intents",
    "SELECT 1 FROM trade_management.trades",
    "UPDATE exit_qualification.outbox_event SET payload = payload",
    "UPDATE trade_management.outbox_event SET payload = payload",
    "DELETE FROM exit_qualification.api_tokens",
)
NOBODY_MAY = ("CREATE ROLE mine", "ALTER ROLE postgres PASSWORD 'x'", "CREATE SCHEMA mine", "COPY pg_class TO '/tmp/x'")

TRY = """
import psycopg, pathlib
for statement in {statements!r}:
    with psycopg.connect(pathlib.Path('/run/secrets/{secret}').read_text()) as connection:
        try:
            connection.execute(statement)
            print('ALLOWED', statement)
        except psycopg.errors.InsufficientPrivilege:
            print('refused', statement)
"""


@pytest.mark.parametrize("service", [*ONE_SHOTS, *PROCESSES, "edge", "postgres", "kafka"])
def test_a_container_has_no_right_that_it_does_not_need(containers: Containers, service: str) -> None:
    found = containers.inspected()[service]
    host = found["HostConfig"]
    user = found["Config"]["User"]
    assert user == {"postgres": "999:999", "kafka": "1000:1000"}.get(service, "10001:10001")
    assert host["ReadonlyRootfs"] and host["Init"] and not host["Privileged"]
    assert host["CapDrop"] == ["ALL"] and not host["CapAdd"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["Memory"] > 0 and host["PidsLimit"] > 0
    assert not [mount for mount in found["Mounts"] if mount["Type"] == "bind"]
    assert not [mount for mount in found["Mounts"] if len(mount.get("Name", "")) == 64], "a nameless volume"


def test_no_capability_is_left_in_a_process(containers: Containers) -> None:
    status = containers.compose("exec", "-T", "exit-orders", "grep", "-E", "^(Cap(Prm|Eff|Bnd)|Uid)", "/proc/1/status")
    assert {line.split()[1].strip("0") for line in status.splitlines() if line.startswith("Cap")} == {""}
    assert "10001" in status


def test_no_secret_stands_where_the_engine_shows_it(containers: Containers) -> None:
    shown = json.dumps(containers.inspected())
    shown += containers.run("docker", "history", "--no-trunc", "exitflow:test")
    assert [name for name, secret in containers.secrets().items() if secret in shown] == []


def test_no_secret_stands_in_a_log(containers: Containers) -> None:
    shown = containers.compose("logs", "--no-color")
    assert len(shown) > 1000
    assert [name for name, secret in containers.secrets().items() if secret in shown] == []


def test_only_http_and_kafka_are_published_and_only_on_loopback(containers: Containers) -> None:
    published = {
        (service, binding["HostIp"], port)
        for service, each in containers.inspected().items()
        for port, bindings in each["HostConfig"]["PortBindings"].items()
        for binding in bindings
    }
    http = {("edge", "127.0.0.1", f"{port}/tcp") for port in (8000, 8001, 8002, 8003)}
    assert published == http | {("kafka", "127.0.0.1", "9092/tcp")}


@pytest.mark.parametrize("service", [*PROCESSES, "postgres"])
def test_a_service_sees_its_own_secrets_and_no_others(containers: Containers, service: str) -> None:
    assert set(containers.compose("exec", "-T", service, "ls", "/run/secrets").split()) == set(LAID_OUT[service])


@pytest.mark.parametrize(
    ("service", "secret", "statements"),
    [
        ("exit-ticks", "exitflow_exit_database_url", MAY_NOT_EXIT),
        ("exit-orders", "exitflow_exit_database_url", MAY_NOT_EXIT),
        ("exit-api", "exitflow_exit_database_url", MAY_NOT_EXIT),
        ("trade-fills", "exitflow_trade_database_url", MAY_NOT_TRADE),
        ("trade-api", "exitflow_trade_database_url", MAY_NOT_TRADE),
        ("relay", "exitflow_exit_database_url", MAY_NOT_RELAY),
        ("relay", "exitflow_trade_database_url", MAY_NOT_RELAY),
    ],
)
def test_the_database_refuses_what_a_service_need_not_do(
    containers: Containers, service: str, secret: str, statements: tuple[str, ...]
) -> None:
    wanted = [*statements, *NOBODY_MAY]
    answers = containers.python(service, TRY.format(statements=wanted, secret=secret)).splitlines()
    assert answers == [f"refused {statement}" for statement in wanted]


def test_the_database_lets_nobody_in_without_a_password(containers: Containers) -> None:
    program = """
import psycopg
for role in ('postgres', 'exitflow_migrator', 'exitflow_exit'):
    try:
        psycopg.connect(host='postgres', user=role, password='guess', dbname='exitflow', connect_timeout=5)
        print('ALLOWED', role)
    except psycopg.OperationalError as error:
        print('password authentication failed' in str(error))
"""
    assert containers.python("exit-ticks", program).split() == ["True"] * 3


def test_kafka_refuses_a_forged_record(containers: Containers) -> None:
    plain = {"bootstrap.servers": containers.kafka}
    denied = {True: KafkaError.TOPIC_AUTHORIZATION_FAILED, False: KafkaError._MSG_TIMED_OUT}
    for has_login, config in ((True, containers.operator()), (False, plain)):
        reports: list[KafkaError | None] = []
        producer = Producer({**config, "message.timeout.ms": 10_000, "log_level": 0})
        producer.produce(EXIT_INTENTS, value=b"{}", on_delivery=lambda error, _, to=reports: to.append(error))  # type: ignore[misc]  # bound now
        assert producer.flush(30) == 0
        assert [error and error.code() for error in reports] == [denied[has_login]]


def test_services_without_outside_need_run_on_internal_network(containers: Containers) -> None:
    networks = {
        service: {name.removeprefix("exitflow-test_") for name in each["NetworkSettings"]["Networks"]}
        for service, each in containers.inspected().items()
    }
    assert {service for service, names in networks.items() if "outside" in names} == {"edge", "kafka", "exit-orders"}
    assert networks["secrets"] == {"none"}
    internal = containers.run("docker", "network", "inspect", "--format", "{{.Internal}}", "exitflow-test_inside")
    assert internal.strip() == "true"
