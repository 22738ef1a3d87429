"""A local stack with a broker of many accounts: the broker and exit-orders run beside `exitflow up`."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url

from bench.orders.accounts import account_names, credentials_of, store_accounts
from deploy.local.postgres.socket import by_socket, socket_directory
from deploy.local.processes.ports import LOOPBACK, free_port
from deploy.local.processes.service_process import ServiceProcess
from deploy.local.secrets.credentials import Credentials
from deploy.local.stack import stack
from deploy.local.state.data_directory import DataDirectory
from shared.errors import Unavailable
from shared.settings import PREFIX, Execution

IN_STACK = ("relay", "trade-fills", "trade-api", "exit-ticks", "exit-api", "console")
SUPERVISOR = "supervisor"
BROKER, ORDERS = "paper-broker", "exit-orders"
READY_S = 60


@dataclass(frozen=True)
class System:
    """A running system: addresses, secrets and process ids by name."""

    trade_api: str
    exit_api: str
    exit_orders: str
    bootstrap_servers: str
    admin_url: str
    token: str
    accounts: list[str]
    pids: dict[str, int]
    credentials: Credentials = field(repr=False)


@contextmanager
def running_system(accounts: int, execution: Execution, say: Callable[[str], None]) -> Iterator[System]:
    """Start everything in a temporary directory, and end and remove it afterwards.

    Raises
    ------
    Unavailable
        A process did not become ready.
    """
    root = Path(tempfile.mkdtemp(prefix="exitflow-bench-orders-"))
    try:
        if stack.up_detached(stack.StackOptions(root, restrict_to=IN_STACK), say) != 0:
            raise Unavailable(f"the stack did not start; its logs are in {DataDirectory(root).logs}")
        with ExitStack() as cleanup:
            cleanup.callback(stack.down, root, say)
            yield _with_broker(root, stack.read_stack(root), account_names(accounts), execution, cleanup)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _with_broker(
    root: Path, about: dict[str, Any], names: list[str], execution: Execution, cleanup: ExitStack
) -> System:
    secrets = Credentials.of(DataDirectory(root).secrets_file)
    shared = {
        f"{PREFIX}KAFKA_BOOTSTRAP_SERVERS": about["kafka_bootstrap_servers"],
        f"{PREFIX}BROKER_CREDENTIALS": credentials_of(names),
    }
    broker = {
        f"{PREFIX}PAPER_BROKER_DIR": str(root / "bench-broker"),
        f"{PREFIX}TRADE_EVENT_KEYS": secrets.trade_event_keys(),
    }
    orders = {
        f"{PREFIX}EXIT_DATABASE_URL": _service_url(root, about["exit_database_url"]),
        f"{PREFIX}EVENT_SIGNING_KEY": secrets.exit_signing_key,
        f"{PREFIX}EXECUTION": execution.value,
    }
    port = free_port(str(root))
    store_accounts(about["admin_database_url"], names, f"http://{LOOPBACK}:{port}")
    orders_port = free_port(str(root), avoid={port})
    processes = [
        _started(root, BROKER, port, shared | broker, cleanup),
        _started(root, ORDERS, orders_port, shared | orders, cleanup),
    ]
    return System(
        trade_api=about["trade_api"],
        exit_api=about["exit_api"],
        exit_orders=f"http://{LOOPBACK}:{orders_port}",
        bootstrap_servers=about["kafka_bootstrap_servers"],
        admin_url=about["admin_database_url"],
        token=about["token"],
        accounts=names,
        pids={**about["processes"], **{one.name: one.pid or 0 for one in processes}},
        credentials=secrets,
    )


def _service_url(root: Path, url: str) -> str:
    """Return the URL of a database as services of the stack have it."""
    return by_socket(url, socket_directory(DataDirectory(root).postgres, make_url(url).port or 0))


def _started(root: Path, name: str, port: int, environment: dict[str, str], cleanup: ExitStack) -> ServiceProcess:
    process = ServiceProcess(name, port, environment, directory=root, log_file=DataDirectory(root).log_file(name))
    cleanup.callback(process.stop)
    process.start()
    return process
