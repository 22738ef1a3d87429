"""The process ``relay``: threads for publishing, partition maintenance and metrics of each outbox."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack
from typing import Protocol

from services.outbox_relay.backlog_metrics import BacklogMonitor
from services.outbox_relay.relay import OutboxRelay, OutboxSource
from services.outbox_relay.retention.maintenance import Retention
from shared.clock import SystemClock
from shared.ids import new_id
from shared.postgres.health_check import watch_database
from shared.runtime.health import Health
from shared.runtime.process import SIGNAL_LOOK_S, health_server, stop_on_signals
from shared.settings import Settings

log = logging.getLogger(__name__)

YOUNG_OBJECTS = 20_000
"""So many are alive before the garbage collector looks at them: rows are gone by then, counted out."""


class Runs(Protocol):
    """A task running until stopped."""

    def run(self, stop: threading.Event) -> None: ...


def main(settings: Settings) -> None:
    """Publish the outboxes named by the settings until SIGTERM or SIGINT.

    Raises
    ------
    ConfigurationError
        A database is not named, or is one on which the relay must not run. One refusal ends the others too.
    """
    stop = stop_on_signals()
    sources = outboxes_of(settings)
    health = Health(*(source.condition for source in sources), deadline_s=settings.health_deadline_s)
    relays = [OutboxRelay(source, settings, SystemClock(), new_id(), health) for source in sources]
    retentions = [Retention(source, settings, health) for source in sources]
    surveys = [BacklogMonitor(source, SystemClock(), health) for source in sources]
    with ExitStack() as stack:
        stack.enter_context(health_server("relay", settings, health))
        for source in sources:
            stack.enter_context(_watched(source, health, settings))
        _spare_the_collector()
        run_all([*relays, *retentions, *surveys], stop)


def _watched(source: OutboxSource, health: Health, settings: Settings) -> AbstractContextManager[None]:
    condition, deadline_s = f"database {source.name}", settings.health_deadline_s
    return watch_database(source.url, source.schema, health, deadline_s=deadline_s, condition=condition)


def _spare_the_collector() -> None:
    """Raise the GC threshold: rows hold no references, so cycle collection only costs CPU."""
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)


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


def run_all(parts: Sequence[Runs], stop: threading.Event) -> None:
    """Run each task in a thread; a permanent failure stops the others and is raised."""
    with ThreadPoolExecutor(len(parts), thread_name_prefix="relay") as threads:
        running = {threads.submit(part.run, stop) for part in parts}
        try:
            while running:
                ended, running = wait(running, SIGNAL_LOOK_S, FIRST_COMPLETED)
                for each in ended:
                    each.result()
        finally:
            stop.set()
