"""Every process and every fault of its database: unready with the reason, and ready again by itself."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
from sqlalchemy.engine import make_url

from deploy.local.postgres.postgres import EmbeddedPostgres
from shared.contracts.topics import TopicNames
from shared.http.auth import Scope, store_token
from shared.http.clients import direct
from shared.postgres.engine import open_engine
from shared.postgres.revisions import HISTORIES, head_revision
from shared.settings import Settings
from tests.integration.health.fleet import Fleet, running_fleet
from tests.support.servers import Database
from tests.support.tcp_proxy import TcpProxy, running_proxy
from tests.support.waiting import LIMIT_S, wait_until

HANGING = 100
TOKEN = "a-reader's-token"


@pytest.fixture
def proxy(postgres: EmbeddedPostgres) -> Iterator[TcpProxy]:
    """The way to the server."""
    with running_proxy(make_url(postgres.admin_url).port or 0) as found:
        yield found


@pytest.fixture
def fleet(
    settings: Settings, topics: TopicNames, database: Database, proxy: TcpProxy, tmp_path: Path
) -> Iterator[Fleet]:
    """Every process, ready."""
    for history in HISTORIES:
        engine = open_engine(database.migrator_url, history, application="test")
        with engine.begin() as connection:
            store_token(connection, TOKEN, "reader", [Scope.READ])
        engine.dispose()
    with running_fleet(settings, database, proxy.port, tmp_path) as found:
        found.all_ready()
        for api in ("exit-api", "trade-api"):
            headers = {"Authorization": f"Bearer {TOKEN}"}
            url = f"{found.url(api)}/metrics"
            wait_until(partial(_scrapes, url, headers), "metrics are scraped once")
        yield found


def _scrapes(url: str, headers: dict[str, str]) -> bool:
    return httpx.get(url, headers=headers, timeout=LIMIT_S, **direct(url)).is_success


@contextmanager
def frozen(postgres: EmbeddedPostgres) -> Iterator[None]:
    """While inside, no process of the server runs; its kernel goes on acknowledging the data sent to it."""
    assert postgres.pid is not None
    server = psutil.Process(postgres.pid)
    stopped = [server]
    server.send_signal(signal.SIGSTOP)
    try:
        for child in server.children(recursive=True):
            child.send_signal(signal.SIGSTOP)
            stopped.append(child)
        yield
    finally:
        for process in reversed(stopped):
            os.kill(process.pid, signal.SIGCONT)


@contextmanager
def read_only(admin: psycopg.Connection[tuple[object, ...]], database: str) -> Iterator[None]:
    """While inside, no new transaction may write."""
    _set_for_all(admin, database, "SET default_transaction_read_only = on")
    try:
        yield
    finally:
        _set_for_all(admin, database, "RESET default_transaction_read_only")


def _set_for_all(admin: psycopg.Connection[tuple[object, ...]], database: str, change: str) -> None:
    admin.execute("SET default_transaction_read_only = off")
    admin.execute(f"ALTER DATABASE {database} {change}".encode())
    admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
        (database,),
    )


@contextmanager
def revision_of_both(admin: psycopg.Connection[tuple[object, ...]], revision: str) -> Iterator[None]:
    """While inside, both schemas claim to be at another revision."""
    for history in HISTORIES:
        admin.execute(f"UPDATE {history}.alembic_version SET version_num = %s".encode(), (revision,))
    try:
        yield
    finally:
        for history in HISTORIES:
            admin.execute(f"UPDATE {history}.alembic_version SET version_num = %s".encode(), (head_revision(history),))


def _monitoring_overtakes_requests(root: str, path: str) -> bool:
    return asyncio.run(_monitoring_overtakes(root, path))


async def _monitoring_overtakes(root: str, path: str) -> bool:
    """Return True if the monitoring routes answer before the first of many requests waiting for the database.

    On a busy machine the requests may give up before the routes are even asked.
    """
    headers = {"Authorization": f"Bearer {TOKEN}"}
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        base_url=root, headers=headers, limits=limits, timeout=LIMIT_S, **direct(root)
    ) as http:
        hanging = [asyncio.create_task(http.get(path)) for _ in range(HANGING)]
        answers = {route: (await http.get(route)).status_code for route in ("/healthz", "/readyz")}
        overtook = not any(each.done() for each in hanging)
        answers["/metrics"] = (await http.get("/metrics")).status_code
        assert answers == {"/healthz": 200, "/readyz": 503, "/metrics": 200}
        for answer in await asyncio.gather(*hanging):
            assert answer.status_code == 503
            assert answer.headers["content-type"] == "application/problem+json"
        return overtook


def test_every_process_tells_every_fault_of_its_database(
    fleet: Fleet, postgres: EmbeddedPostgres, proxy: TcpProxy, database: Database
) -> None:
    with frozen(postgres):
        fleet.all_complain("does not answer (no answer")
        for api, path in (("exit-api", "/exits/pending"), ("trade-api", "/trades")):
            overtakes = partial(_monitoring_overtakes_requests, fleet.url(api), path)
            wait_until(overtakes, "the monitoring routes do not wait for the database")
    fleet.all_ready()

    proxy.drop()
    fleet.all_complain("does not answer (no answer")
    proxy.heal()
    fleet.all_ready()

    with psycopg.connect(database.admin_url, autocommit=True) as admin:
        name = admin.info.dbname
        with read_only(admin, name):
            fleet.all_complain("read-only")
        fleet.all_ready()
        with admin.transaction():
            admin.execute("LOCK TABLE exit_qualification.exit_intents, exit_qualification.outbox_shard")
            fleet.all_complain("", "exit-orders", "relay")
        with revision_of_both(admin, "V001"):
            fleet.all_complain("is at revision V001, this version needs V0")
        with revision_of_both(admin, "V999"):
            fleet.all_ready()
