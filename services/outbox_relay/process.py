"""The process ``relay``: threads for publishing, partition maintenance and metrics of each outbox."""

from __future__ import annotations

from services.outbox_relay.backlog_metrics import BacklogMonitor
from services.outbox_relay.relay import OutboxRelay, OutboxSource
from services.outbox_relay.retention.maintenance import Retention
from shared.ids import new_id
from shared.runtime.catalogue import RELAY
from shared.runtime.process import ProcessSpec, RunningProcess
from shared.settings import Settings


def build(process: RunningProcess) -> None:
    """Add the threads of the outboxes named by the settings.

    Raises
    ------
    ConfigurationError
        A database is not named.
    """
    settings, health, clock = process.settings, process.health, process.clock
    for source in outboxes_of(settings):
        health.add(source.condition)
        process.watch_database(source.url, source.schema, f"database {source.name}")
        # A relay on the wrong database ends the process, and with it the others.
        process.threads.add(source.condition, OutboxRelay(source, settings, clock, new_id(), health).run)
        process.threads.add(f"retention {source.name}", Retention(source, settings, health).run)
        process.threads.add(f"backlog {source.name}", BacklogMonitor(source, clock, health).run)


def outboxes_of(settings: Settings) -> list[OutboxSource]:
    """Return the configured outboxes, without duplicates.

    Raises
    ------
    ConfigurationError
        The database of one of them is not named.
    """
    named = set(settings.relay_outboxes.split(","))
    sources = []
    if "exit" in named:
        sources.append(OutboxSource("exit", "exit_qualification", settings.require_exit_database()))
    if "trade" in named:
        sources.append(OutboxSource("trade", "trade_management", settings.require_trade_database()))
    return sources


PROCESS = ProcessSpec(RELAY, build)
