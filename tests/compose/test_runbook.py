"""The commands of the runbook of the containers, section by section, as it shows them."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.compose.containers import REPOSITORY, Containers

pytestmark = pytest.mark.timeout(1200)

RUNBOOK = (REPOSITORY / "docs/runbooks/compose.md").read_text()
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROJECT = re.compile(r"\bexitflow_(?=secrets-|\$volume)|(?<=project=)exitflow\b")
LIMIT_S = 600


def blocks(section: str) -> list[str]:
    """Return the commands of a section, a text for each block."""
    (body,) = (part for part in RUNBOOK.split("\n## ") if part.startswith(f"{section}\n"))
    return BLOCK.findall(body)


class Shell:
    """Runs blocks of the runbook in an empty directory, on the tests' project and ports."""

    def __init__(self, containers: Containers, directory: Path) -> None:
        self._containers = containers
        self._directory = directory
        (directory / ".venv").symlink_to(REPOSITORY / ".venv")

    def run(self, *commands: str) -> str:
        """Run commands in one shell that ends at the first failure; return what they printed."""
        given = self._containers.environment
        script = PROJECT.sub(
            lambda found: found[0].replace("exitflow", given["COMPOSE_PROJECT_NAME"]), "\n".join(commands)
        )
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script.replace("127.0.0.1:9092", self._containers.kafka)],
            cwd=self._directory,
            env={
                **given,
                "COMPOSE_FILE": str(REPOSITORY / "docker-compose.yml"),
                "EXITFLOW_TRADE_API_URL": f"http://127.0.0.1:{given['PUBLISHED_TRADE_API_PORT']}",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout


@pytest.fixture
def shell(containers: Containers, tmp_path: Path) -> Shell:
    return Shell(containers, tmp_path)


def trades(shell: Shell) -> str:
    """Return the trades as the host's command line lists them."""
    return shell.run(blocks("Use it")[1])


def test_trade_opens_and_host_reads_its_exit(shell: Shell) -> None:
    in_the_network, on_the_host, from_kafka = blocks("Use it")
    shell.run(in_the_network)
    assert "NSE:INFY" in shell.run(on_the_host)
    assert '"trade_id"' in shell.run(from_kafka)


def test_health_and_logs_are_shown(shell: Shell) -> None:
    (commands,) = blocks("Health")
    assert "ready" in shell.run(commands)


def test_copies_are_added_and_taken_away(shell: Shell, containers: Containers) -> None:
    shell.run(*blocks("More copies"))
    containers.compose("up", "--wait")


def test_an_upgrade_builds_and_migrates(shell: Shell) -> None:
    (commands,) = blocks("Upgrade")
    shell.run(commands.replace("git pull\n", ""))  # of the tests' own source


def test_backup_is_restored_cold_and_dump_beside_log(shell: Shell, containers: Containers) -> None:
    before = trades(shell)
    shell.run(*blocks("Back up"))
    containers.compose("down", "--volumes")
    cold, dump = blocks("Restore")
    shell.run(cold)
    assert trades(shell) == before
    shell.run(*re.findall(r"Hot, of the databases only: `([^`]+)`", RUNBOOK))
    shell.run(dump)
    assert trades(shell) == before


def test_all_secrets_are_made_anew(shell: Shell) -> None:
    shell.run(*blocks("Secrets"))
    trades(shell)


@pytest.mark.skipif("TEST_COMPOSE_OBSERVABILITY" not in os.environ, reason="its images are 800 MB")
def test_observability_starts_with_its_password(shell: Shell, containers: Containers) -> None:
    assert shell.run(*blocks("Observability")).strip()
    containers.compose("--profile", "observability", "down")


@pytest.mark.parametrize("overlay", ["own-kafka", "own-postgres"])
def test_own_servers_are_understood(shell: Shell, overlay: str) -> None:
    """Servers of one's own are not part of the suite: Compose reads the command's files."""
    (commands,) = blocks("Your own Kafka or PostgreSQL")
    (command,) = (each for each in re.findall(r"(?:.+\\\n)+.+", commands) if overlay in each)
    shell.run(command.replace("-f ", f"-f {REPOSITORY}/").replace("up --wait", "config --quiet"))
