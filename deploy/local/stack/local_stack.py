"""One run of a local stack: from nothing to every process ready, and in order back to nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from deploy.local.kafka.apache import ApacheKafka
from deploy.local.kafka.broker import Broker
from deploy.local.kafka.selection import Decision, KafkaChoice, decide
from deploy.local.kafka.tansu import Tansu
from deploy.local.kafka.volatile_log import must_start_fresh
from deploy.local.postgres.databases import Databases, embedded_databases, external_databases, make_database
from deploy.local.postgres.postgres import EmbeddedPostgres
from deploy.local.processes.child import last_lines
from deploy.local.processes.ports import PortBook
from deploy.local.processes.registry import (
    SUPERVISOR,
    Entry,
    end_leftovers,
    entry_of,
    format_processes,
    write_processes,
)
from deploy.local.processes.service_environment import Wiring, chosen
from deploy.local.processes.supervisor import Supervisor
from deploy.local.secrets.credentials import Credentials
from deploy.local.stack.options import StackOptions
from deploy.local.stack.provision import provision
from deploy.local.state.data_directory import DataDirectory
from deploy.local.state.stack_file import write_stack
from deploy.local.state.state_socket import telling
from shared.errors import ConfigurationError, Unavailable
from shared.runtime.catalogue import PROCESSES, Stage
from shared.settings import Settings, load_settings


class LocalStack:
    """Processes of one data directory; the caller holds its lock.

    Parameters
    ----------
    on_progress:
        Told in one line of each step.
    stopping:
        Whether the stack was asked to end; looked at all the time.
    """

    def __init__(self, options: StackOptions, on_progress: Callable[[str], None], stopping: Callable[[], bool]) -> None:
        self._options = options
        self._say = on_progress
        self._stopping = stopping
        self._directory = DataDirectory(options.data_dir)
        self._supervisor = Supervisor(on_progress, self._record)
        self._wiring: Wiring | None = None
        self._limit_s = options.ready_timeout_s or load_settings().ready_timeout_s
        self._state = b"{}"
        self._unwritten = ""

    def run(self, on_ready: Callable[[], None]) -> None:
        """Start everything, call `on_ready`, and watch until asked to stop; then end everything in order.

        Raises
        ------
        ConfigurationError
            The machine or the settings do not allow it.
        Unavailable
            Something did not become ready, or ended for good.
        """
        self._clear_leftovers()
        self._record()
        with telling(self._directory.state_socket, lambda: self._state):
            self._run(on_ready)

    def _run(self, on_ready: Callable[[], None]) -> None:
        try:
            wiring = self._start_servers()
            if not self._stopping():
                self._start_services(wiring)
            if not self._stopping():
                self._wiring = wiring
                self._record()
                on_ready()
                self._supervisor.run(self._stopping)
        finally:
            self._end()

    def _clear_leftovers(self) -> None:
        self._directory.stack_file.unlink(missing_ok=True)
        ended = end_leftovers(self._directory.process_file)
        if ended:
            self._say(f"ended processes left by a killed supervisor: {', '.join(ended)}")

    def _start_servers(self) -> Wiring:
        """Start PostgreSQL and Kafka, and create their content for the services."""
        settings = load_settings()
        chosen(PROCESSES, self._options.restrict_to)
        credentials = Credentials.of(self._directory.secrets_file)
        ports = PortBook(self._directory.ports_file)
        decision = self._decide()
        external = external_databases(settings, credentials)
        fresh = self._start_fresh(decision, external)
        broker = self._broker(decision, ports)
        postgres = None if external else self._postgres(ports, credentials)
        self._launch_servers(postgres, broker)
        wiring = Wiring(
            directory=self._directory,
            ports=ports,
            credentials=credentials,
            databases=external or self._embedded(postgres, credentials, fresh=fresh),
            bootstrap_servers=broker.bootstrap_servers if broker else decision.bootstrap_servers,
        )
        self._provision(wiring, settings)
        return wiring

    def _decide(self) -> Decision:
        decision = decide(self._options.kafka, self._say)
        if decision.note:
            self._say(decision.note)
        return decision

    def _start_fresh(self, decision: Decision, external: Databases | None) -> bool:
        fresh = must_start_fresh(self._directory, decision)
        if not fresh:
            return False
        if external is not None:
            raise ConfigurationError(
                "Tansu cannot be used with an external PostgreSQL: its topics are lost on restart. "
                "Use `--kafka apache`."
            )
        if self._directory.postgres.exists():
            self._say("beginning with a fresh database: Kafka's log of the last run is gone")
        shutil.rmtree(self._directory.paper_broker, ignore_errors=True)
        return True

    def _broker(self, decision: Decision, ports: PortBook) -> Broker | None:
        log_file = self._directory.log_file("kafka")
        if decision.kafka is KafkaChoice.EXTERNAL:
            return None
        if decision.kafka is KafkaChoice.TANSU:
            return Tansu(self._directory.kafka, ports.port("kafka"), log_file=log_file)
        return ApacheKafka(
            self._directory.kafka, ports.port("kafka"), ports.port("kafka-controller"), log_file=log_file
        )

    def _postgres(self, ports: PortBook, credentials: Credentials) -> EmbeddedPostgres:
        return EmbeddedPostgres(
            self._directory.postgres,
            ports.port("postgres"),
            credentials.postgres_password,
            log_file=self._directory.log_file("postgres"),
        )

    def _launch_servers(self, postgres: EmbeddedPostgres | None, broker: Broker | None) -> None:
        # PostgreSQL first, so it ends last; both start at the same time.
        if postgres is not None:
            self._supervisor.launch([postgres])
        if broker is not None:
            self._supervisor.launch([broker], restartable=broker.survives_restart)
        self._await_ready()

    def _embedded(self, postgres: EmbeddedPostgres | None, credentials: Credentials, *, fresh: bool) -> Databases:
        assert postgres is not None, "without external databases there is an embedded server"
        if not self._stopping():
            make_database(postgres.admin_url, fresh=fresh)
        return embedded_databases(postgres.admin_url, credentials, postgres.socket)

    def _provision(self, wiring: Wiring, settings: Settings) -> None:
        if not self._stopping():
            provision(wiring, settings, self._say)

    def _start_services(self, wiring: Wiring) -> None:
        for stage in Stage:
            names = chosen([each.name for each in PROCESSES.values() if each.stage is stage], self._options.restrict_to)
            self._supervisor.launch([wiring.process(name) for name in names])
        self._await_ready()

    def _await_ready(self) -> None:
        try:
            self._supervisor.await_ready(self._limit_s, self._stopping, lambda name: self._say(f"{name} is ready"))
        except Unavailable as error:
            logs = (self._directory.log_file(name) for name in error.details.get("servers", []))
            raise Unavailable(
                "\n".join([str(error), *(f"the end of {log}:\n{last_lines(log)}" for log in logs)])
            ) from error

    def _record(self) -> bool:
        """Publish the process list; users of the stack see it only once it is ready.

        Return False if it could not be written, as on a full disk; the in-memory state is still correct.
        """
        supervised = self._supervisor.supervised
        entries = {one.server.name: entry_of(one.server, one.restarts, one.state) for one in supervised}
        entries[SUPERVISOR] = Entry.of(os.getpid()) or Entry()
        self._state = format_processes(entries)
        try:
            self._write(entries)
        except OSError as error:
            if not self._unwritten:
                self._say(f"the state of the stack cannot be written, and is tried again: {error}")
            self._unwritten = str(error)
            return False
        if self._unwritten:
            self._say(f"the state of the stack is written again, after: {self._unwritten}")
            self._unwritten = ""
        return True

    def _write(self, entries: dict[str, Entry]) -> None:
        write_processes(self._directory.process_file, entries)
        if self._wiring is not None:
            pids = {name: entry.pid for name, entry in entries.items() if entry.pid}
            write_stack(self._directory.stack_file, self._wiring, pids)

    def _end(self) -> None:
        self._wiring = None
        _remove(self._directory.stack_file)
        self._say("stopping")
        self._supervisor.stop()
        _remove(self._directory.process_file)


def _remove(file: Path) -> None:
    """Remove a file; one on a read-only file system stays, and the next start replaces it."""
    with suppress(OSError):
        file.unlink(missing_ok=True)
