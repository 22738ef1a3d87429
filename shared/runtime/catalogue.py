"""The processes of the system. Supervisor, containers, secrets, metrics and documentation follow this catalogue.

`docs/how-to/add-a-process.md` lists the other places for a new process; tests name a missing one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from shared.postgres import roles
from shared.postgres.revisions import EXIT_QUALIFICATION, TRADE_MANAGEMENT

WORKER_PORT = 8080
"""Port of a worker's health and metrics in a container, where each worker has an address to itself."""


class Secret(Enum):
    """Secrets besides a process's database URLs and its user of Kafka."""

    BROKER_CREDENTIALS = auto()
    EXIT_SIGNING_KEY = auto()
    TRADE_SIGNING_KEY = auto()
    EXIT_EVENT_KEYS = auto()
    TRADE_EVENT_KEYS = auto()
    LAST_PRICES_TOKEN = auto()
    CONSOLE_SESSION_KEY = auto()
    POSTBACK_SECRETS = auto()
    EXECUTION_TOKEN = auto()


class Stage(Enum):
    """Stages of starting a local stack; stopping reverses them."""

    FIRST = auto()
    """Stops last, to publish the last rows of the others."""
    THEN = auto()


@dataclass(frozen=True)
class CataloguedProcess:
    """A process of the system.

    Attributes
    ----------
    module:
        Module with its `PROCESS`, a `shared.runtime.process.ProcessSpec`.
    does:
        Its description in the help of `exitflow run` and in the documentation.
    scales_by:
        Why several copies of it do not disturb each other.
    api_port:
        Default port of an API; None for a worker.
    databases:
        Its role, by the schema's history.
    secrets:
        Its other secrets.
    stage:
        When a local stack starts it.
    """

    name: str
    module: str
    does: str
    scales_by: str
    api_port: int | None = None
    databases: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[Secret, ...] = ()
    stage: Stage = Stage.THEN

    @property
    def container_port(self) -> int:
        """Return the port of its HTTP in a container."""
        return self.api_port or WORKER_PORT


_EXIT_SIDE = {EXIT_QUALIFICATION: roles.EXIT}
_TRADE_SIDE = {TRADE_MANAGEMENT: roles.TRADE}

EXIT_TICKS = CataloguedProcess(
    name="exit-ticks",
    module="services.exit_qualification.ticks.process",
    does="judges ticks, writes signals and intents",
    scales_by="partitions",
    databases=_EXIT_SIDE,
    secrets=(Secret.EXIT_SIGNING_KEY, Secret.TRADE_EVENT_KEYS),
)
EXIT_ORDERS = CataloguedProcess(
    name="exit-orders",
    module="services.exit_qualification.orders.process",
    does="sends orders, reconciles their outcomes",
    scales_by="claims with SKIP LOCKED",
    databases=_EXIT_SIDE,
    secrets=(Secret.EXIT_SIGNING_KEY, Secret.BROKER_CREDENTIALS),
)
EXIT_API = CataloguedProcess(
    name="exit-api",
    module="services.exit_qualification.api.process",
    does="HTTP of exits, port 8001 unless set",
    scales_by="no state",
    api_port=8001,
    databases=_EXIT_SIDE,
    secrets=(Secret.EXIT_SIGNING_KEY, Secret.POSTBACK_SECRETS),
)
TRADE_FILLS = CataloguedProcess(
    name="trade-fills",
    module="services.trade_management.fills.process",
    does="closes trades from fills",
    scales_by="partitions",
    databases=_TRADE_SIDE,
    secrets=(Secret.TRADE_SIGNING_KEY, Secret.EXIT_EVENT_KEYS, Secret.EXECUTION_TOKEN),
)
TRADE_API = CataloguedProcess(
    name="trade-api",
    module="services.trade_management.api.process",
    does="HTTP of trades, port 8002 unless set",
    scales_by="no state",
    api_port=8002,
    databases=_TRADE_SIDE,
    secrets=(Secret.TRADE_SIGNING_KEY, Secret.LAST_PRICES_TOKEN),
)
RELAY = CataloguedProcess(
    name="relay",
    module="services.outbox_relay.process",
    does="publishes the outboxes to Kafka",
    scales_by="leases of shards",
    databases={EXIT_QUALIFICATION: roles.RELAY, TRADE_MANAGEMENT: roles.RELAY},
    secrets=(Secret.EXIT_EVENT_KEYS, Secret.TRADE_EVENT_KEYS),
    stage=Stage.FIRST,
)
PAPER_BROKER = CataloguedProcess(
    name="paper-broker",
    module="services.paper_broker.process",
    does="a broker for paper trading, port 8003 unless set",
    scales_by="one ledger on a common disk",
    api_port=8003,
    secrets=(Secret.BROKER_CREDENTIALS, Secret.TRADE_EVENT_KEYS),
)
CONSOLE = CataloguedProcess(
    name="console",
    module="services.console.process",
    does="the operators' web pages, port 8000 unless set",
    scales_by="no state",
    api_port=8000,
    secrets=(Secret.CONSOLE_SESSION_KEY,),
)

PROCESSES = {
    each.name: each
    for each in (EXIT_TICKS, EXIT_ORDERS, EXIT_API, TRADE_FILLS, TRADE_API, RELAY, PAPER_BROKER, CONSOLE)
}
