"""Process runtime: logging, signals, health server, graceful shutdown."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from fastapi import FastAPI

from shared.errors import ConfigurationError
from shared.http.app import create_app
from shared.http.protocol import MAX_HEAD_BYTES, ConnectionLimits, bounded_protocol
from shared.runtime.health import Health
from shared.settings import Settings

log = logging.getLogger(__name__)

GRACE_S = 10
BACKLOG = 4096
"""Connections that the kernel keeps until they are accepted, so that a burst does not turn a healthy client away."""
KEEP_ALIVE_S = 75
"""Longer than clients pause: a request on a connection that is just being closed is one of unknown outcome."""


SIGNAL_LOOK_S = 0.25
"""How often a main thread that waits has to wake. The kernel may hand a signal to any thread, and does so right after
the process was continued; Python's handlers run in the main thread alone, once that wakes."""


class Stop(threading.Event):
    """Set once when the process should end; `wait` on it instead of sleeping."""

    def wait(self, timeout: float | None = None) -> bool:
        """As of any event; without a limit it still lets signals be handled."""
        if timeout is not None:
            return super().wait(timeout)
        while not super().wait(SIGNAL_LOOK_S):
            pass
        return True


def stop_on_signals() -> Stop:
    """Return a `Stop` set by SIGTERM and SIGINT; a second signal ends the process at once."""
    stop = Stop()

    def handle(number: int, _: FrameType | None) -> None:
        if stop.is_set():
            raise SystemExit(128 + number)
        log.info("stopping on %s", signal.Signals(number).name)
        stop.set()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    return stop


def serve(app: FastAPI, settings: Settings, default_port: int) -> None:
    """Serve an API until SIGTERM or SIGINT, then finish the requests at hand.

    Raises
    ------
    ConfigurationError
        The port cannot be listened on.
    """
    server = uvicorn.Server(server_config(app, settings, settings.http_port or default_port))
    stop_on_signals()  # uvicorn takes the signals while it runs and raises them again when it is done
    try:
        server.run()
    except SystemExit as error:
        raise ConfigurationError(f"cannot listen on {settings.http_host}:{server.config.port}") from error


@contextmanager
def health_server(name: str, settings: Settings, health: Health) -> Iterator[None]:
    """While inside, a worker's ``/healthz``, ``/readyz`` and ``/metrics``, if it was given a port."""
    if settings.http_port is None:
        yield
        return
    server = uvicorn.Server(server_config(create_app(name, health), settings, settings.http_port))
    thread = threading.Thread(target=server.run, name="health", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(GRACE_S)


def server_config(app: FastAPI, settings: Settings, port: int) -> uvicorn.Config:
    """Return how every HTTP server of a process runs."""
    return uvicorn.Config(
        app,
        host=settings.http_host,
        port=port,
        backlog=BACKLOG,
        http=bounded_protocol(ConnectionLimits(settings.http_connections, settings.http_request_timeout_s)),
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
