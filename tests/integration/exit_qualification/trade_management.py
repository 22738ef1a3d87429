"""Trade management as the orchestrator of exits, on both databases and exit-api, step by step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import Engine

from services.exit_qualification.api.app import create
from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.orders.asked_exits import AskedExits, AskedExitsListener
from services.exit_qualification.storage.execution_requests import EXECUTION_REQUESTS
from services.exit_qualification.storage.order_queues import Asked
from services.trade_management.execution.approved_exits import ApprovedExit, ApprovedExits
from services.trade_management.execution.exit_executor import ExitExecutor
from shared.clock import Clock, SystemClock
from shared.http.auth import Scope, store_token
from shared.postgres.engine import open_engine
from shared.postgres.notifications import Listener
from shared.runtime.health import Health
from shared.settings import Execution, Settings
from tests.support.servers import Database

TOKEN = "execution-token"
ARRIVAL_S = 5.0


class WayToExitApi(httpx.BaseTransport):
    """The way of requests to exit-api, which may be down, or die before it answers."""

    def __init__(self, client: TestClient) -> None:
        self._exit_api = client._transport
        self.is_down = False
        self.dies_before_answering = False
        self.requests = 0
        self.looks = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Carry a request there, and the answer back."""
        if self.is_down:
            raise httpx.ConnectError("exit-api is down", request=request)
        answer = self._exit_api.handle_request(request)
        self.looks += request.method == "GET"
        if request.method == "POST" and answer.status_code == httpx.codes.ACCEPTED:
            self.requests += 1
        if self.dies_before_answering:
            raise httpx.ReadError("exit-api has died", request=request)
        return answer


@dataclass
class TradeManagement:
    """An executor of trade-fills, exit-api, and the requests as kept by one exit-orders.

    Attributes
    ----------
    execution:
        The setting of this exit-orders; a change is a restart with another one.
    """

    executor: ExitExecutor
    health: Health
    way: WayToExitApi
    client: TestClient
    listener: Listener
    clock: Clock
    execution: Execution = Execution.TRADE_MANAGEMENT
    kept: AskedExits = field(init=False)

    def __post_init__(self) -> None:
        self.restart_exit_orders()

    def asked(self) -> Asked:
        """The exits that exit-orders may send now; None: all."""
        return self.kept.now() if self.execution is Execution.TRADE_MANAGEMENT else None

    def restart_exit_orders(self) -> None:
        """Forget every request, and listen again."""
        self.listener.close()
        self.kept = AskedExits(self.clock)
        self._receive(0)

    def hear(self, *intents: ExitIntent) -> None:
        """trade-fills has read the approval of these exits, and asked; exit-orders has received the requests."""
        self.executor.hear([ApprovedExit(each.intent_id, each.trade_id, each.quantity) for each in intents])
        self.execute(self.executor.execute_heard)

    def execute(self, step: Callable[[], None] | None = None) -> None:
        """One step of trade management, a look without one; exit-orders has received its requests afterwards."""
        before = self.way.requests
        try:
            (step or self.executor.execute_once)()
        finally:
            if self.way.requests > before:
                self._receive(ARRIVAL_S)

    def _receive(self, timeout_s: float) -> None:
        AskedExitsListener(self.listener, self.kept).wait(timeout_s)


@contextmanager
def trade_management(
    exit_engine: Engine, trade_engine: Engine, database: Database, execution: Execution = Execution.TRADE_MANAGEMENT
) -> Iterator[TradeManagement]:
    """Provide trade management with a token of its own at exit-api; `execution` is the setting of exit-api."""
    migrator = open_engine(database.migrator_url, "exit_qualification", application="test")
    with migrator.begin() as connection:
        store_token(connection, TOKEN, "trade-fills", [Scope.READ, Scope.EXECUTE])
        store_token(connection, "operator-token", "ops-desk", [Scope.READ, Scope.OPERATE])
    migrator.dispose()
    settings = Settings(exit_database_url=SecretStr(database.exit_url), execution=execution)
    health, clock = Health(), SystemClock()
    of_api = Health("database", deadline_s=math.inf)
    of_api.fine("database")
    listener = Listener(exit_engine, EXECUTION_REQUESTS)
    with TestClient(create(settings, exit_engine, of_api, clock)) as client:
        way = WayToExitApi(client)
        executor = ExitExecutor(trade_engine, ApprovedExits("http://testserver", TOKEN, way), health, clock)
        yield TradeManagement(executor, health, way, client, listener, clock)
    listener.close()
