"""The processes by their `exitflow run` names."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from shared.errors import ConfigurationError
from shared.settings import Settings


@dataclass(frozen=True)
class Process:
    """A module with ``main(settings)``, and its description."""

    module: str
    does: str


PROCESSES = {
    "exit-ticks": Process("services.exit_qualification.ticks.process", "judges ticks, writes signals and intents"),
    "exit-orders": Process("services.exit_qualification.orders.process", "sends orders, reconciles their outcomes"),
    "exit-api": Process("services.exit_qualification.api.process", "HTTP of exits, port 8001 unless set"),
    "trade-fills": Process("services.trade_management.fills.process", "closes trades from fills"),
    "trade-api": Process("services.trade_management.api.process", "HTTP of trades, port 8002 unless set"),
    "relay": Process("services.outbox_relay.process", "publishes the outboxes to Kafka"),
    "paper-broker": Process("services.paper_broker.process", "a broker for paper trading, port 8003 unless set"),
}


def entry_point(name: str) -> Callable[[Settings], None]:
    """Import and return a process's ``main``, so that no process loads another's code.

    Raises
    ------
    ConfigurationError
        No process has that name.
    """
    process = PROCESSES.get(name)
    if process is None:
        raise ConfigurationError(f"no such process: {name}; there are {', '.join(PROCESSES)}")
    return cast("Callable[[Settings], None]", importlib.import_module(process.module).main)
