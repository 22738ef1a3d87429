"""Every process with a database, on one environment, seen as by an operator: over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from sqlalchemy.engine import make_url

from deploy.local.processes.ports import free_port
from shared.http.clients import direct
from shared.runtime import catalogue
from shared.settings import Settings
from tests.integration.paper_broker.conftest import CREDENTIALS
from tests.support.product_process import ProductProcess, run
from tests.support.servers import Database
from tests.support.waiting import LIMIT_S, wait_until

PROCESSES = tuple(name for name, process in catalogue.PROCESSES.items() if process.databases)
DEADLINE_S = 4.0
READY_LIMIT_S = 120


@dataclass(frozen=True)
class Readiness:
    """An answer of ``/readyz``; status 0 if there was none."""

    status: int
    checks: dict[str, str]

    @property
    def text(self) -> str:
        """All problems, as text."""
        return "; ".join(f"{name}: {what}" for name, what in self.checks.items())


@dataclass
class Fleet:
    """The running processes and their ports."""

    ports: dict[str, int]
    children: dict[str, ProductProcess]

    def url(self, name: str) -> str:
        """The root of a process."""
        return f"http://127.0.0.1:{self.ports[name]}"

    def readiness(self, name: str) -> Readiness:
        """The process's own report."""
        try:
            url = f"{self.url(name)}/readyz"
            answer = httpx.get(url, timeout=LIMIT_S, **direct(url))
        except httpx.TransportError as error:
            return Readiness(0, {"http": type(error).__name__})
        return Readiness(answer.status_code, answer.json().get("checks", {}))

    def all_ready(self) -> None:
        """Wait until every process is ready."""
        try:
            wait_until(lambda: not self._unready(), "every process is ready", READY_LIMIT_S)
        except AssertionError:
            raise AssertionError(f"not ready: {self._unready()}") from None

    def all_complain(self, of: str, *names: str) -> None:
        """Wait until each process, or each of `names`, is unready and names the reason."""
        names = names or tuple(self.ports)
        try:
            wait_until(lambda: not self._silent(of, names), f"every process says: {of}")
        except AssertionError:
            raise AssertionError(f"does not say {of!r}: {self._silent(of, names)}") from None

    def _unready(self) -> dict[str, str]:
        said = {name: self.readiness(name) for name in self.ports}
        return {name: one.text for name, one in said.items() if one.status != 200}

    def _silent(self, of: str, names: tuple[str, ...]) -> dict[str, str]:
        said = {name: self.readiness(name) for name in names}
        return {
            name: f"{one.status} {one.text}" for name, one in said.items() if one.status != 503 or of not in one.text
        }


@contextmanager
def running_fleet(
    settings: Settings,
    database: Database,
    proxy_port: int,
    directory: Path,
    processes: Sequence[str] = PROCESSES,
    own: Callable[[str], Mapping[str, str]] = lambda _: {},
) -> Iterator[Fleet]:
    """While inside, the processes, their database connections through the port; ended afterwards.

    `own` gives the environment variables of single processes, by name.
    """
    fleet = Fleet({}, {})
    with ExitStack() as stack:
        for name in processes:
            taken = set(fleet.ports.values())
            fleet.ports[name] = free_port(str(directory / name), avoid=taken)
            environment = {
                **_environment(name, settings, database, proxy_port),
                **own(name),
                "EXITFLOW_HTTP_PORT": str(fleet.ports[name]),
            }
            fleet.children[name] = ProductProcess(run("run", name), environment)
            stack.callback(_end, fleet.children[name])
        yield fleet


def _environment(name: str, settings: Settings, database: Database, proxy_port: int) -> dict[str, str]:
    is_relay = name == "relay"
    exit_url, trade_url = (
        make_url(url).set(host="127.0.0.1", port=proxy_port).render_as_string(hide_password=False)
        for url in (
            database.relay_exit_url if is_relay else database.exit_url,
            database.relay_trade_url if is_relay else database.trade_url,
        )
    )
    return {
        "EXITFLOW_EXIT_DATABASE_URL": exit_url,
        "EXITFLOW_TRADE_DATABASE_URL": trade_url,
        "EXITFLOW_KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "EXITFLOW_KAFKA_TOPIC_PREFIX": settings.kafka_topic_prefix,
        "EXITFLOW_KAFKA_CONSUMER_PREFIX": settings.kafka_consumer_prefix,
        "EXITFLOW_BROKER_CREDENTIALS": CREDENTIALS,
        "EXITFLOW_BROKER_TIMEOUT_S": "1",
        "EXITFLOW_HEALTH_DEADLINE_S": str(DEADLINE_S),
        "EXITFLOW_DATABASE_STATEMENT_TIMEOUT_S": "2",
        "EXITFLOW_TESTING": "1",
    }


def _end(child: ProductProcess) -> None:
    child.kill()
    child.wait(LIMIT_S)
