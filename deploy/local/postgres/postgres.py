"""A real PostgreSQL of our own: initialised, started and stopped by us, reached from this machine alone."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

from deploy.local.postgres.programs import postgres_programs
from deploy.local.postgres.socket import socket_directory
from deploy.local.postgres.unix_account import make_owned, make_passable, server_account
from deploy.local.processes.child import Child, Command, clean_environment, last_lines
from deploy.local.processes.ports import LOOPBACK
from deploy.local.processes.server import ChildServer
from shared.errors import ConfigurationError, Unavailable

SUPERUSER = "postgres"
INITDB_LIMIT_S = 120
LEFTOVER_LIMIT_S = 30
ORPHANS_LIMIT_S = 10
_ORPHANS_REMAIN = "pre-existing shared memory block"

_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "max_connections": "200",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %u@%d ",
    "log_min_duration_statement": "1000",
    # The supervisor starts it again. PostgreSQL 18 itself, if its disk is full, can stay alive without its recovery.
    "restart_after_crash": "off",
}
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class EmbeddedPostgres(ChildServer):
    """One database cluster in one directory.

    Parameters
    ----------
    data_dir:
        Ours; made if missing. The cluster is in ``cluster`` below it.
    port:
        Loopback port it listens on.
    admin_password:
        The superuser's. It is set when the cluster is made and must be the same ever after.
    durable:
        False gives up durability across a crash of the machine for speed; for tests only.
    log_file:
        By default ``postgres.log`` in the data directory.
    settings:
        Settings of the server beside ours, or in their place: name → value as ``postgres -c`` takes it.
    """

    stop_limit_s: float = 30

    def __init__(
        self,
        data_dir: Path,
        port: int,
        admin_password: str,
        *,
        durable: bool = True,
        log_file: Path | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__("postgres", log_file or data_dir / "postgres.log")
        self._data_dir = data_dir
        self._cluster = data_dir / "cluster"
        self._port = port
        self._password = admin_password
        self._durable = durable
        self._settings = dict(settings or {})
        self._account = server_account()

    @property
    def admin_url(self) -> str:
        """Return the superuser's ``postgresql://`` URL."""
        return f"postgresql://{SUPERUSER}:{quote(self._password, safe='')}@{LOOPBACK}:{self._port}/postgres"

    @property
    def socket(self) -> Path | None:
        """Return the directory of its socket; None if the data directory's path allows none."""
        return socket_directory(self._data_dir, self._port)

    @property
    def probe(self) -> str:
        """Return ``postgresql://host:port``, without a password."""
        return f"postgresql://{LOOPBACK}:{self._port}"

    def command(self) -> Command:
        """Return the server's command with its settings; stop by fast shutdown, then by immediate shutdown."""
        durability = {} if self._durable else _NOT_DURABLE
        listening = {"port": str(self._port), "unix_socket_directories": _quoted(self.socket)}
        settings = {**_SETTINGS, **listening, **durability, **self._settings}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return Command(
            argv=[str(postgres_programs(self._account) / "postgres"), "-D", str(self._cluster), *options],
            log_file=self.log_file,
            directory=self._data_dir,
            environment=clean_environment(),
            account=self._account,
            stop_signal=signal.SIGINT,
            force_signal=signal.SIGQUIT,
            death_signal=signal.SIGINT,
        )

    def launch(self) -> None:
        """Create the cluster if missing, clean up after a crash, and start the server."""
        make_passable(self._data_dir, self._account)
        if self.socket is not None:
            make_owned(self.socket, self._account)
        if not self._cluster.exists():
            self._initialise()
        _end_leftover(self._cluster)
        super().launch()

    def start(self) -> None:
        """Start it and return once it answers.

        Raises
        ------
        Unavailable
            It ended, or did not answer within its limit; the message carries the end of its log.
        ConfigurationError
            It answers but refuses our password.
        """
        for _ in range(ORPHANS_LIMIT_S):
            try:
                super().start()
            except Unavailable:
                if _ORPHANS_REMAIN not in last_lines(self.log_file, 5):
                    raise
                # Back ends of a killed server still have to notice its end.
                time.sleep(1)
            else:
                return
        super().start()

    def is_ready(self) -> bool:
        """Return True if it answers our superuser."""
        try:
            psycopg.connect(self.admin_url, connect_timeout=2).close()
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise ConfigurationError(
                    f"PostgreSQL in {self._data_dir} was made with another superuser password; "
                    "restore its secrets.json or use another data directory"
                ) from None
            return False
        return True

    def _initialise(self) -> None:
        """Run initdb beside the final place: an interrupted run leaves nothing resembling a complete cluster."""
        unfinished = self._data_dir / f"cluster.{os.getpid()}"
        make_owned(unfinished, self._account)
        password_file = self._write_password_file()
        try:
            self._run_initdb(unfinished, password_file)
            unfinished.rename(self._cluster)
        finally:
            password_file.unlink()

    def _write_password_file(self) -> Path:
        path = self._data_dir / f"password.{os.getpid()}"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(self._password + "\n")
        if self._account is not None:
            os.chown(path, self._account.uid, self._account.gid)
        return path

    def _run_initdb(self, directory: Path, password_file: Path) -> None:
        child = Child(
            Command(
                argv=[
                    str(postgres_programs(self._account) / "initdb"),
                    f"--pgdata={directory}",
                    f"--username={SUPERUSER}",
                    f"--pwfile={password_file}",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--locale-provider=builtin",
                    "--builtin-locale=C.UTF-8",
                    "--locale=C",
                    "--data-checksums",
                    *([] if self._durable else ["--no-sync"]),
                ],
                log_file=self.log_file,
                directory=self._data_dir,
                environment=clean_environment(),
                account=self._account,
            )
        )
        try:
            status = child.wait(INITDB_LIMIT_S)
        except subprocess.TimeoutExpired:
            child.stop(0)
            status = None
        if status != 0:
            raise ConfigurationError(f"initdb failed:\n{last_lines(self.log_file)}")


def _quoted(directory: Path | None) -> str:
    """Return a directory as the one item of a list of directories; an empty list without one."""
    return "" if directory is None else '"' + str(directory).replace('"', '""') + '"'


def _end_leftover(cluster: Path) -> None:
    """Stop a server still running on this cluster; remove a dead server's lock file.

    PostgreSQL clears a stale lock file itself, unless its process id now belongs to another program of the same user.
    """
    lock_file = cluster / "postmaster.pid"
    if not lock_file.exists():
        return
    # A full disk leaves the file empty.
    first_line = next(iter(lock_file.read_text().splitlines()), "")
    owner = _process(int(first_line), str(cluster)) if first_line.isdecimal() else None
    if owner is None:
        lock_file.unlink()
        return
    owner.send_signal(signal.SIGINT)
    try:
        owner.wait(LEFTOVER_LIMIT_S)
    except psutil.TimeoutExpired:
        raise Unavailable(f"another PostgreSQL (process {owner.pid}) holds {cluster} and does not end") from None


def _process(pid: int, argument: str) -> psutil.Process | None:
    """Return the running process of this id if it was started with this argument."""
    try:
        process = psutil.Process(pid)
        return process if argument in process.cmdline() else None
    except psutil.NoSuchProcess:
        return None
