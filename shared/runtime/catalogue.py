"""The processes of the system, by their `exitflow run` names."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CataloguedProcess:
    """A process of the system.

    Attributes
    ----------
    module:
        Module with its `PROCESS`, a `shared.runtime.process.ProcessSpec`.
    does:
        Its description in the help of `exitflow run`.
    api_port:
        Default port of an API; None for a worker.
    """

    name: str
    module: str
    does: str
    api_port: int | None = None


EXIT_TICKS = CataloguedProcess(
    "exit-ticks", "services.exit_qualification.ticks.process", "judges ticks, writes signals and intents"
)
EXIT_ORDERS = CataloguedProcess(
    "exit-orders", "services.exit_qualification.orders.process", "sends orders, reconciles their outcomes"
)
EXIT_API = CataloguedProcess(
    "exit-api", "services.exit_qualification.api.process", "HTTP of exits, port 8001 unless set", api_port=8001
)
TRADE_FILLS = CataloguedProcess("trade-fills", "services.trade_management.fills.process", "closes trades from fills")
TRADE_API = CataloguedProcess(
    "trade-api", "services.trade_management.api.process", "HTTP of trades, port 8002 unless set", api_port=8002
)
RELAY = CataloguedProcess("relay", "services.outbox_relay.process", "publishes the outboxes to Kafka")
PAPER_BROKER = CataloguedProcess(
    "paper-broker",
    "services.paper_broker.process",
    "a broker for paper trading, port 8003 unless set",
    api_port=8003,
)
CONSOLE = CataloguedProcess(
    "console", "services.console.process", "the operators' web pages, port 8000 unless set", api_port=8000
)

PROCESSES = {
    each.name: each
    for each in (EXIT_TICKS, EXIT_ORDERS, EXIT_API, TRADE_FILLS, TRADE_API, RELAY, PAPER_BROKER, CONSOLE)
}
