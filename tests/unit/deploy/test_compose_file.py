"""The compose file and the image's recipe, read as text: rules to check without a container engine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deploy.compose.secret_files import ContainerCredentials, secret_files
from deploy.local.kafka.security import PUBLIC_PROPERTIES, file_properties, jaas_option
from deploy.local.postgres.databases import embedded_databases
from shared.runtime.catalogue import PROCESSES

REPOSITORY = Path(__file__).resolve().parents[3]
COMPOSE = (REPOSITORY / "docker-compose.yml").read_text()
DOCKERFILE = (REPOSITORY / "deploy/image/Dockerfile").read_text()


def section(name: str) -> str:
    """The block below a top-level key."""
    found = re.search(rf"^{name}:[^\n]*\n(.*?)(?=^\S|\Z)", COMPOSE, re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


SERVICES = dict(re.findall(r"^  ([a-z-]+):\n(.*?)(?=^  \S|\Z)", section("services"), re.MULTILINE | re.DOTALL))
CREDENTIALS = ContainerCredentials()
SECRET_OWNERS = set(secret_files(embedded_databases("postgresql://postgres:pw@postgres/x", CREDENTIALS), CREDENTIALS))


@pytest.mark.parametrize("name", PROCESSES)
def test_every_process_is_a_service_with_its_own_secrets(name: str) -> None:
    assert f"command: [run, {name}]" in SERVICES[name]
    assert re.findall(r"secrets-[a-z-]+", SERVICES[name]) == [f"secrets-{name}"]
    assert "<<: *process" in SERVICES[name]


ESCAPES = r"privileged:|cap_add:|container_name:|docker\.sock|network_mode: host|env_file:"


def test_no_service_escapes_from_the_least_privileges() -> None:
    for name, service in SERVICES.items():
        assert re.search(r"<<: \*(least-privilege|exitflow|one-shot|process)", service), name
        assert not re.search(ESCAPES, service), name


def test_the_least_privileges_are_these() -> None:
    for line in ("read_only: true", "cap_drop: [ALL]", 'security_opt: ["no-new-privileges:true"]', "init: true"):
        assert line in section("x-least-privilege")


def test_ports_are_published_on_loopback_only() -> None:
    published = re.findall(r'"([^"]+:\d+)"', "".join(re.findall(r"ports:(?: \[.*\]|(?:\n      - .*)+)", COMPOSE)))
    assert len(published) == 7
    assert all(each.startswith("127.0.0.1:${PUBLISHED_") for each in published)


def test_no_secret_is_given_by_environment() -> None:
    assert not re.search(r"EXITFLOW_\w*(PASSWORD|TOKEN|DATABASE_URL|CREDENTIALS)\w*:", COMPOSE)
    assert not re.search(r"^\s+\w*PASSWORD:", COMPOSE, re.MULTILINE)


def test_each_secret_owner_has_volume_and_directory_for_its_rights() -> None:
    laid_out = set(re.findall(r"- secrets-([a-z-]+):/secrets/\1\n", SERVICES["secrets"]))
    declared = set(re.findall(r"^  secrets-([a-z-]+): \{\}", section("volumes"), re.MULTILINE))
    loop = re.search(r"for service in (.*?); do", DOCKERFILE, re.DOTALL)
    assert loop
    assert laid_out == declared == set(loop[1].replace("\\", " ").split()) == SECRET_OWNERS | {"kept"}


def test_kafka_makes_no_topic_by_itself() -> None:
    assert 'KAFKA_AUTO_CREATE_TOPICS_ENABLE: "false"' in SERVICES["kafka"]


def test_kafka_authenticates_clients_and_allows_only_listed_access() -> None:
    kafka = SERVICES["kafka"]
    for name, value in {**PUBLIC_PROPERTIES, **file_properties("/run/secrets")}.items():
        assert re.search(rf'KAFKA_{name.upper().replace(".", "_")}: "?{re.escape(value)}"?( #.*)?\n', kafka), name
    assert "INSIDE:SASL_SSL,OUTSIDE:SASL_SSL,CONTROLLER:SASL_PLAINTEXT" in kafka
    assert f"KAFKA_OPTS: {jaas_option('/run/secrets')}" in kafka
    assert "secrets-kafka:/run/secrets:ro" in kafka


def test_image_installs_only_wheels_from_hashed_lock() -> None:
    assert "--require-hashes --only-binary :all: -r /build/runtime.txt" in DOCKERFILE
    assert "USER 10001:10001" in DOCKERFILE
    assert "pip uninstall" in DOCKERFILE


def test_nothing_but_what_is_named_reaches_the_build() -> None:
    lines = [line for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
