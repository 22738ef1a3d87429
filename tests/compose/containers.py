"""Docker Compose as these tests speak it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
LIMIT_S = 600
PUBLIC = ("certificate", "ca")
"""Files beside the secrets, not secret themselves."""
ONE_SHOTS = ("secrets", "roles", "schema", "topics")


class CommandFailed(Exception):
    """A program ended with another status than 0."""


class Containers:
    """One project of the compose file."""

    PUBLISHED = ("EXIT_API", "TRADE_API", "PAPER_BROKER", "KAFKA")

    def __init__(self, project: str, ports: Mapping[str, str]) -> None:
        own = {"COMPOSE_PROJECT_NAME": project, "IMAGE_TAG": project, **ports}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("EXITFLOW_")}
        self.environment = {**kept, **own}
        self.kafka = f"127.0.0.1:{ports['PUBLISHED_KAFKA_PORT']}"

    def compose(self, *arguments: str, limit_s: float = LIMIT_S) -> str:
        """Run a command of Compose and return its output; CommandFailed if it fails."""
        return self.run("docker", "compose", *arguments, limit_s=limit_s)

    def run(self, *command: str, limit_s: float = LIMIT_S) -> str:
        """Run a program and return its output; CommandFailed if it fails."""
        done = subprocess.run(command, **self.options(), capture_output=True, timeout=limit_s, check=False)
        if done.returncode:
            raise CommandFailed(f"{' '.join(command)}: {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
        return str(done.stdout)

    def options(self) -> dict[str, Any]:
        """How a program is started for this project."""
        return {"cwd": REPOSITORY, "env": self.environment, "text": True}

    def inspected(self) -> dict[str, dict[str, Any]]:
        """The engine's facts about each container, by its service."""
        ids = self.compose("ps", "--all", "--quiet").split()
        return {each["Config"]["Labels"]["com.docker.compose.service"]: each for each in self._inspect(ids)}

    def _inspect(self, ids: list[str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.run("docker", "inspect", *ids))
        return found

    def operator(self) -> dict[str, str]:
        """Connection settings of a read-only operator's client of Kafka on this machine."""

        def secret(name: str) -> str:
            file = f"/run/secrets/exitflow_kafka_{name}"
            return self.compose("run", "--rm", "-T", "--no-deps", "--entrypoint", "cat", "check", file)

        return {
            "bootstrap.servers": self.kafka,
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": secret("username"),
            "sasl.password": secret("password"),
            "ssl.ca.pem": secret("ca"),
        }

    def python(self, service: str, program: str) -> str:
        """Output of a Python program inside a service's container, as its user and with its secrets."""
        return self.compose("exec", "-T", service, "python", "-c", program)

    def secrets(self) -> dict[str, str]:
        """Return every secret, by its path; of one in several lines the most telling line."""
        cat = ("run", "--rm", "-T", "--no-deps", "--entrypoint", "cat", "secrets", "/secrets/kept/secrets.json")
        return dict(_secret_texts(json.loads(self.compose(*cat))))

    def command_line(self, *arguments: str) -> str:
        """Output of the CLI inside the network, with the operator's token."""
        return self.compose("run", "--rm", "-T", "--no-deps", "tools", "exitflow", *arguments)

    def demo(self, *arguments: str) -> None:
        """The demo from outside; CommandFailed unless it closed every trade and everything holds."""
        self.run("deploy/compose/demo", *arguments)

    def play(self, *arguments: str) -> subprocess.Popen[str]:
        """The demo from outside, started and not checked."""
        return subprocess.Popen(
            ["deploy/compose/play", *arguments], **self.options(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )


def _secret_texts(made: dict[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for name, value in made.items():
        if isinstance(value, dict):
            yield from _secret_texts(value, f"{path}{name}.")
        elif name not in PUBLIC:
            yield f"{path}{name}", max(value.splitlines(), key=len)


def all_closed(play: subprocess.Popen[str]) -> None:
    """Wait for a running demo; it must have closed every trade."""
    output, _ = play.communicate(timeout=LIMIT_S)
    assert play.returncode == 0, output[-6000:]
