"""Environment of each service: its settings and only its own credentials."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from deploy.local.postgres.databases import Databases
from deploy.local.processes.ports import LOOPBACK, PortBook
from deploy.local.processes.service_process import ServiceProcess
from deploy.local.secrets.credentials import Credentials
from deploy.local.secrets.secret_settings import secret_settings
from deploy.local.state.data_directory import DataDirectory
from shared.errors import ConfigurationError
from shared.runtime.catalogue import CONSOLE, EXIT_API, PAPER_BROKER, PROCESSES, TRADE_API, TRADE_FILLS
from shared.settings import PREFIX

# Settings a caller may set for all processes; the stack decides the rest, or it is a secret of one of them.
_OURS = frozenset(
    PREFIX + name
    for name in (
        "EXIT_DATABASE_URL",
        "TRADE_DATABASE_URL",
        "ADMIN_DATABASE_URL",
        "EXIT_ROLE_PASSWORD",
        "TRADE_ROLE_PASSWORD",
        "RELAY_ROLE_PASSWORD",
        "MIGRATOR_ROLE_PASSWORD",
        "KAFKA_BOOTSTRAP_SERVERS",
        "HTTP_HOST",
        "HTTP_PORT",
        "PUBLIC_TOKEN",
        "LAST_PRICES_TOKEN",
        "EXECUTION_TOKEN",
        "EXIT_API_URL",
        "TRADE_API_URL",
        "BROKER_CREDENTIALS",
        "EVENT_SIGNING_KEY",
        "EXIT_EVENT_KEYS",
        "TRADE_EVENT_KEYS",
        "PAPER_BROKER_DIR",
        "PAPER_BROKER_POSTBACK_URL",
        "POSTBACK_SECRETS",
        "CONSOLE_SESSION_KEY",
        "CONSOLE_PROCESSES",
        "SECRETS_DIR",
    )
)


@dataclass(frozen=True)
class Wiring:
    """Addresses and credentials connecting one stack's processes."""

    directory: DataDirectory
    ports: PortBook
    credentials: Credentials = field(repr=False)
    databases: Databases
    bootstrap_servers: str

    def url(self, service: str) -> str:
        """Root of a service's HTTP."""
        return f"http://{LOOPBACK}:{self.ports.port(service)}"

    def environment(self, service: str) -> dict[str, str]:
        """Return a service's settings as environment variables."""
        return {
            **_tuning(os.environ),
            f"{PREFIX}KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            **secret_settings(service, self.databases, self.credentials),
            **self._places(service),
        }

    def _places(self, service: str) -> dict[str, str]:
        if service == PAPER_BROKER.name:
            return {
                f"{PREFIX}PAPER_BROKER_DIR": str(self.directory.paper_broker),
                f"{PREFIX}PAPER_BROKER_POSTBACK_URL": f"{self.url(EXIT_API.name)}/postbacks/kite",
            }
        if service in (TRADE_API.name, TRADE_FILLS.name):
            return {f"{PREFIX}EXIT_API_URL": self.url(EXIT_API.name)}
        if service == CONSOLE.name:
            return {
                f"{PREFIX}EXIT_API_URL": self.url(EXIT_API.name),
                f"{PREFIX}TRADE_API_URL": self.url(TRADE_API.name),
                f"{PREFIX}CONSOLE_PROCESSES": ",".join(f"{name}={self.url(name)}" for name in PROCESSES),
            }
        return {}

    def process(self, service: str) -> ServiceProcess:
        """Return the service as a process to start."""
        return ServiceProcess(
            service,
            self.ports.port(service),
            self.environment(service),
            directory=self.directory.root,
            log_file=self.directory.log_file(service),
        )


def chosen(names: Collection[str], restrict_to: Collection[str] | None) -> list[str]:
    """Return those of `names` to run, in order.

    Raises
    ------
    ConfigurationError
        `restrict_to` has an unknown name.
    """
    unknown = set(restrict_to or ()) - set(PROCESSES)
    if unknown:
        raise ConfigurationError(f"no such processes: {', '.join(sorted(unknown))}; there are {', '.join(PROCESSES)}")
    return [name for name in names if restrict_to is None or name in restrict_to]


def _tuning(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(PREFIX) and name not in _OURS and not name.startswith(f"{PREFIX}TEST_")
    }
