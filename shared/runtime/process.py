"""ProcessSpec: how every process starts, reports its health, fails and ends."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import lru_cache, partial
from types import FrameType

import uvicorn
from fastapi import FastAPI
from sqlalchemy import Engine
from uvicorn.server import ServerState

from shared.clock import Clock, SystemClock
from shared.errors import ConfigurationError
from shared.http.app import create_app
from shared.http.protocol import MAX_HEAD_BYTES, HttpLimits, bounded_protocol
from shared.postgres import connection_limits
from shared.postgres.engine import open_engine
from shared.postgres.health_check import CONDITION, DatabaseWatch
from shared.postgres.pruning import Pruned, Pruning
from shared.runtime import failpoints
from shared.runtime.catalogue import CataloguedProcess
from shared.runtime.health import Health
from shared.runtime.stopping import Stop, stop_on_signals
from shared.runtime.telemetry import configure_logging, gauge
from shared.runtime.threads import STOP_LIMIT_S, ThreadGroup
from shared.runtime.tracing import traced
from shared.settings import Settings
from shared.version import VERSION

GRACE_S = 10
BACKLOG = 4096
"""Connections kept by the kernel until they are accepted; a burst does not turn a healthy client away."""
KEEP_ALIVE_S = 75
"""Longer than clients pause: a request on a connection just being closed has an unknown outcome."""

YOUNG_OBJECTS = 20_000
"""So many are alive before the garbage collector looks at them: rows and requests are gone by then, counted out."""

INFO = gauge("process_info", "always 1; the labels name the process and its version", "process", "version")


@dataclass(frozen=True)
class ProcessSpec:
    """A process of the system.

    Attributes
    ----------
    entry:
        Its entry of the catalogue. Health, logs, metrics, Kafka's client.id and PostgreSQL's application_name use its
        name.
    build:
        Add threads and databases to the process; the threads start afterwards. Return the HTTP application of an API.
        A worker returns None; its health is served if EXITFLOW_HTTP_PORT is set.
    conditions:
        Health conditions of its parts; none holds before its part reports.
    stop_limit_s:
        Longest time for all threads to end; a thread still busy then is abandoned.
    """

    entry: CataloguedProcess
    build: Callable[[RunningProcess], FastAPI | None]
    conditions: tuple[str, ...] = ()
    stop_limit_s: float = STOP_LIMIT_S

    def main(self, settings: Settings) -> None:
        """Run until SIGTERM, SIGINT or the failure of a thread.

        The order of stopping: HTTP requests of an API, all threads together, the health server, databases.

        Raises
        ------
        ConfigurationError
            The process cannot work with these settings on these servers.
        """
        settings = settings.of_process(self.entry.name)
        configure_logging(settings)
        failpoints.arm_from_environment()
        INFO.labels(self.entry.name, VERSION).set(1)
        stop = stop_on_signals()
        health = Health(*self.conditions, deadline_s=settings.health_deadline_s)
        with ExitStack() as resources:
            resources.enter_context(traced(settings))
            process = RunningProcess(settings, health, ThreadGroup(stop, self.stop_limit_s), resources)
            app = self.build(process)
            _spare_the_collector()
            if app is None:
                with health_server(settings, health), process.threads:
                    stop.wait()
            else:
                with process.threads:
                    serve(app, settings, self.entry.api_port, stop)


def _spare_the_collector() -> None:
    """Let the garbage collector pass over the parts of the process, and look for cycles seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)


@dataclass(frozen=True)
class RunningProcess:
    """The parts of a process.

    Attributes
    ----------
    threads:
        Its work, started once the process is built.
    resources:
        Closed in reverse order after the threads have ended.
    """

    settings: Settings
    health: Health
    threads: ThreadGroup
    resources: ExitStack
    clock: Clock = field(default_factory=SystemClock)

    def open_database(
        self,
        url: str,
        history: str,
        limits: connection_limits.ConnectionLimits,
        *,
        pool_size: int | None = None,
        planner: Mapping[str, str] | None = None,
    ) -> Engine:
        """Return an engine on the schema named like `history`; a thread watches the database.

        `planner` has settings of the planner for all statements.
        """
        engine = open_engine(
            url,
            history,
            application=self.settings.process,
            pool_size=pool_size or self.settings.database_pool_size,
            limits=limits.within(self.settings.database_statement_timeout_s),
            pooler=self.settings.database_pooler,
            planner=planner,
        )
        self.resources.callback(engine.dispose)
        self.watch_database(url, history)
        return engine

    def watch_database(self, url: str, history: str, condition: str = CONDITION) -> None:
        """Report a database's state as a condition, from a thread."""
        watch = DatabaseWatch(url, history, self.health, self.settings, condition)
        self.threads.add(f"watch {condition}", watch.run)

    def prune(self, engine: Engine, table: Pruned, keep_days: int) -> None:
        """Delete old rows of a table, from a thread."""
        self.threads.add(f"prune {table}", Pruning(engine, table, keep_days, self.settings.prune_every_s).run)


class _DatedState(ServerState):
    """The state of a server, with the date of the moment in the headers of every answer."""

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers; uvicorn's own are renewed every second, in every process."""
        return [(b"date", _date_of(int(SystemClock().now().timestamp())))]

    @default_headers.setter
    def default_headers(self, _: list[tuple[bytes, bytes]]) -> None:
        pass


@lru_cache(maxsize=1)
def _date_of(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()


class _QuietServer(uvicorn.Server):
    """A server asleep until its end; uvicorn's own looks ten times a second, in every process."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.server_state = _DatedState()
        self._wake: Callable[[], object] = _nothing

    async def main_loop(self) -> None:
        """Sleep until the end."""
        ending, loop = asyncio.Event(), asyncio.get_running_loop()
        self._wake = partial(loop.call_soon_threadsafe, ending.set)
        if not self.should_exit:  # it may have ended before it could be woken
            await ending.wait()
        self._wake = _nothing  # the loop may be closed soon

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End on a signal; Python resumes an interrupted sleep after its handler."""
        super().handle_exit(sig, frame)
        self._wake()

    def end(self) -> None:
        """Let the server end; from any thread."""
        self.should_exit = True
        self._wake()


def _nothing() -> None:
    """Wake nothing: the server does not sleep."""


class _StoppableServer(_QuietServer):
    """A server with a second way to end: when `stop` is set, as after the failure of a thread."""

    def __init__(self, config: uvicorn.Config, stop: Stop) -> None:
        super().__init__(config)
        self._stop = stop

    async def main_loop(self) -> None:
        """Sleep until the end, or the stop."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._stop, self.end)
        try:
            await super().main_loop()
        finally:
            loop.remove_reader(self._stop)


def serve(app: FastAPI, settings: Settings, default_port: int | None, stop: Stop) -> None:
    """Serve an API until SIGTERM, SIGINT or `stop`, then finish the requests at hand.

    Raises
    ------
    ConfigurationError
        The port cannot be listened on.
    """
    port = settings.http_port or default_port
    if port is None:
        raise ConfigurationError(f"{settings.process} has no default port; set EXITFLOW_HTTP_PORT")
    # uvicorn takes the signals while it runs and raises them again when it is done
    server = _StoppableServer(server_config(app, settings, port), stop)
    app.state.is_stopping = lambda: server.should_exit or stop.is_set()  # streams end by it, and need not be cut
    try:
        server.run()
    except SystemExit as error:
        if not server.started:
            raise ConfigurationError(f"cannot listen on {settings.http_host}:{server.config.port}") from error
        raise


@contextmanager
def health_server(settings: Settings, health: Health) -> Iterator[None]:
    """While inside, a worker's ``/healthz``, ``/readyz`` and ``/metrics``, if it was given a port."""
    if settings.http_port is None:
        yield
        return
    server = _QuietServer(server_config(create_app(settings.process, health), settings, settings.http_port))
    thread = threading.Thread(target=server.run, name="health", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.end()
        thread.join(GRACE_S)


def server_config(app: FastAPI, settings: Settings, port: int) -> uvicorn.Config:
    """Return how every HTTP server of a process runs."""
    return uvicorn.Config(
        app,
        host=settings.http_host,
        port=port,
        backlog=BACKLOG,
        http=bounded_protocol(HttpLimits(settings.http_connections, settings.http_request_timeout_s)),
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
