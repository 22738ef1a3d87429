"""Relays at work: in a thread of the test, or as a process to be killed."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.outbox_relay.process import outboxes_of
from services.outbox_relay.relay import OutboxRelay
from shared.clock import SystemClock
from shared.ids import new_id
from shared.runtime.health import Health
from shared.runtime.stopping import Stop
from shared.settings import Settings
from tests.support.product_process import ProductProcess, run
from tests.support.waiting import LIMIT_S

RELAY = run("run", "relay")
LEASE_S = 6.0
"""A relay renews its lease after a third; a busy machine stops no process for the rest."""


def short_lived(relay: Settings) -> Settings:
    """Return the settings of a relay to be killed or stopped: another soon takes everything over."""
    return relay.model_copy(update={"relay_lease_s": 2.0})


@dataclass
class ThreadRelay:
    """A relay in a thread."""

    health: Health
    stop: Stop


@contextmanager
def running_relay(settings: Settings) -> Iterator[ThreadRelay]:
    """While inside, a relay of the exit outbox publishes; at the end it hands over."""
    (source,) = outboxes_of(settings)
    relay = ThreadRelay(Health(source.condition), Stop())
    outbox_relay = OutboxRelay(source, settings, SystemClock(), new_id(), relay.health)
    thread = threading.Thread(target=outbox_relay.run, args=(relay.stop,))
    thread.start()
    try:
        yield relay
    finally:
        relay.stop.set()
        thread.join(LIMIT_S)
        assert not thread.is_alive()


@contextmanager
def relay_process(
    settings: Settings, failpoints: str = "", program: str = RELAY, log_file: Path | None = None
) -> Iterator[ProductProcess]:
    """A relay in a process of its own; killed at the end if it still lives.

    Parameters
    ----------
    program:
        The relay itself, or another program in its place.
    log_file:
        The place for its log, by default with the log of the tests.
    """
    process = ProductProcess(program, _environment(settings, failpoints), log_file)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _environment(settings: Settings, failpoints: str) -> dict[str, str]:
    return {
        "EXITFLOW_TESTING": "1",
        "EXITFLOW_FAILPOINTS": failpoints,
        "EXITFLOW_EXIT_DATABASE_URL": settings.require_exit_database(),
        "EXITFLOW_KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "EXITFLOW_KAFKA_TOPIC_PREFIX": settings.kafka_topic_prefix,
        "EXITFLOW_RELAY_OUTBOXES": settings.relay_outboxes,
        "EXITFLOW_RELAY_LEASE_S": str(settings.relay_lease_s),
        "EXITFLOW_RELAY_BATCH_SIZE": str(settings.relay_batch_size),
        "EXITFLOW_RELAY_MAINTENANCE_S": str(settings.relay_maintenance_s),
        **({} if settings.http_port is None else {"EXITFLOW_HTTP_PORT": str(settings.http_port)}),
    }


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """While inside, the process stands still."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
