"""Relays at work: in a thread of the test, or as a process that can be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from services.outbox_relay.process import outboxes_of
from services.outbox_relay.relay import OutboxRelay
from shared.clock import SystemClock
from shared.ids import new_id
from shared.runtime.health import Health
from shared.settings import Settings

PROGRAM = (
    "from services.outbox_relay.process import PROCESS; from shared.settings import load_settings; "
    "PROCESS.main(load_settings())"
)


RELAY = ("-c", PROGRAM)
REPOSITORY = Path(__file__).resolve().parents[3]


def wait_until(condition: Callable[[], bool], limit_s: float = 30) -> float:
    """Return the seconds it took until the condition held, or fail."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < limit_s, "it did not happen in time"
        time.sleep(0.01)
    return time.monotonic() - began


@dataclass
class ThreadRelay:
    """A relay in a thread."""

    health: Health
    stop: threading.Event


@contextmanager
def running_relay(settings: Settings) -> Iterator[ThreadRelay]:
    """While inside, a relay of the exit outbox publishes; at the end it hands over."""
    (source,) = outboxes_of(settings)
    relay = ThreadRelay(Health(source.condition), threading.Event())
    outbox_relay = OutboxRelay(source, settings, SystemClock(), new_id(), relay.health)
    thread = threading.Thread(target=outbox_relay.run, args=(relay.stop,))
    thread.start()
    try:
        yield relay
    finally:
        relay.stop.set()
        thread.join(30)
        assert not thread.is_alive()


@contextmanager
def relay_process(
    settings: Settings, failpoints: str = "", program: Sequence[str] = RELAY, log_file: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A relay in a process of its own; killed at the end if it still lives.

    Parameters
    ----------
    program:
        What the interpreter is given: the relay itself, or another that takes its place.
    log_file:
        Where its log is appended, by default with that of the tests.
    """
    with log_file.open("ab") if log_file else nullcontext() as output:
        process = subprocess.Popen(
            [sys.executable, *program],
            cwd=REPOSITORY,
            env=_environment(settings, failpoints),
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def _environment(settings: Settings, failpoints: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("EXITFLOW_")}
    return {
        **inherited,
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
