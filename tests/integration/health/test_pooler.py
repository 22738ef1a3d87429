"""Services behind a real PgBouncer in transaction mode, and those unable to run there."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url

from deploy.local.postgres.unix_account import server_account
from deploy.local.processes.ports import free_port
from services.outbox_relay.database.connection import connect
from shared.contracts.vocabulary import IntentStatus
from shared.errors import ConfigurationError
from shared.postgres.connection_limits import LOOPS
from shared.postgres.engine import look, open_engine
from shared.postgres.health_check import DatabaseWatch
from shared.postgres.migrations import migrate
from shared.postgres.revisions import EXIT_QUALIFICATION
from shared.runtime.health import Health
from shared.runtime.stopping import Stop
from shared.runtime.threads import ThreadGroup
from shared.settings import Settings
from tests.integration.exit_qualification.conftest import exit_engine
from tests.integration.exit_qualification.orders.order_scenario import OrderScenario
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker
from tests.support.servers import Database, server_directory
from tests.support.waiting import LIMIT_S, wait_until

__all__ = ["exit_engine"]

BINARY = shutil.which("pgbouncer")
pytestmark = pytest.mark.skipif(BINARY is None, reason="needs the program pgbouncer")


MORE_THAN_PREPARED = 12
"""psycopg prepares a statement on the server after five times."""

CONFIGURATION = """\
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {directory}/users.txt
pool_mode = transaction
default_pool_size = 1
"""


SETTINGS = text("""
SELECT current_setting('search_path') AS search_path, current_setting('lock_timeout'), current_setting('timezone')
""")


class Pooler:
    """A running pooler and the databases behind it."""

    def __init__(self, database: Database, port: int) -> None:
        self._port = port
        self.exit_url = self._through(database.exit_url)
        self.relay_url = self._through(database.relay_exit_url)
        self.migrator_url = self._through(database.migrator_url)

    def _through(self, url: str) -> str:
        return make_url(url).set(host="127.0.0.1", port=self._port).render_as_string(hide_password=False)

    def is_up(self) -> bool:
        """Return True once it passes connections on."""
        try:
            psycopg.connect(self.exit_url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


@pytest.fixture
def pooler(database: Database) -> Iterator[Pooler]:
    """A pooler with one server connection for each role: every transaction may meet another's leavings."""
    with ExitStack() as stack:
        directory = stack.enter_context(server_directory("pooler"))
        server = make_url(database.exit_url)
        pooler = Pooler(database, free_port(str(directory)))
        _write_files(directory, database, CONFIGURATION.format(
            host=server.host, port=server.port, listen_port=pooler._port, directory=directory
        ))  # fmt: skip
        account = server_account()
        process = subprocess.Popen(
            [str(BINARY), str(directory / "pgbouncer.ini")],
            user=account.uid if account else None,
            stderr=subprocess.DEVNULL,
        )
        stack.callback(process.wait, LIMIT_S)
        stack.callback(process.kill)
        wait_until(pooler.is_up, "the pooler passes connections on")
        yield pooler


def _write_files(directory: Path, database: Database, configuration: str) -> None:
    urls = [make_url(url) for url in (database.exit_url, database.relay_exit_url, database.migrator_url)]
    users = "".join(f'"{url.username}" "{url.password}"\n' for url in urls)
    directory.chmod(0o755)
    for name, content in (("users.txt", users), ("pgbouncer.ini", configuration)):
        (directory / name).write_text(content)
        (directory / name).chmod(0o644)


@pytest.fixture
def pooled(pooler: Pooler, exit_engine: Engine) -> Iterator[Engine]:
    """The exit side's engine through the pooler, on a database prepared by `exit_engine`."""
    engine = open_engine(pooler.exit_url, EXIT_QUALIFICATION, application="test", limits=LOOPS, pooler=True)
    yield engine
    engine.dispose()


def test_each_transaction_has_its_own_settings_on_a_shared_connection(pooler: Pooler, pooled: Engine) -> None:
    other = open_engine(pooler.exit_url, "public", application="other", pooler=True)
    seen = set()
    for _ in range(MORE_THAN_PREPARED):
        for engine in (pooled, other):
            with engine.begin() as connection:
                row = connection.execute(SETTINGS).one()
                seen.add((engine is pooled, *row))
    other.dispose()
    assert seen == {(True, EXIT_QUALIFICATION, "5s", "UTC"), (False, "public", "5s", "UTC")}


def test_an_exit_goes_out_and_fills_through_the_pooler(pooled: Engine) -> None:
    scenario = OrderScenario(pooled, ScriptedBroker())
    for _ in range(MORE_THAN_PREPARED):
        intent = scenario.placed()
        assert scenario.intent(intent).status is IntentStatus.PLACED


def test_looks_have_their_settings_through_the_pooler(pooled: Engine) -> None:
    for _ in range(2):
        with look(pooled) as connection:
            for _ in range(2):
                assert connection.execute(SETTINGS).one().search_path == EXIT_QUALIFICATION


def test_the_watch_works_through_the_pooler(pooler: Pooler) -> None:
    health = Health()
    watch = DatabaseWatch(pooler.exit_url, EXIT_QUALIFICATION, health, Settings(health_deadline_s=60))
    with ThreadGroup(Stop()).add("watch", watch.run):
        wait_until(health.is_ready, "the database is fine")


def test_what_needs_a_session_says_what_to_do(pooler: Pooler) -> None:
    with pytest.raises(ConfigurationError, match="set EXITFLOW_DATABASE_POOLER=true"):
        open_engine(pooler.exit_url, EXIT_QUALIFICATION, application="test").connect()
    with pytest.raises(ConfigurationError, match="the relay and the commands need the URL"):
        connect(pooler.relay_url, EXIT_QUALIFICATION)
    with pytest.raises(ConfigurationError, match="the relay and the commands need the URL"):
        migrate(pooler.migrator_url, EXIT_QUALIFICATION)
