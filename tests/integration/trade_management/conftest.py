"""Common fixtures of the integration tests of trade management."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import Engine

from services.trade_management.api.app import create
from services.trade_management.storage.user_brokers import UserBrokerRepository
from shared.clock import SystemClock
from shared.contracts.controls import UserBrokerChanged
from shared.http.auth import Scope, store_token
from shared.postgres.connection_limits import REQUESTS
from shared.postgres.engine import open_engine
from shared.postgres.row_locks import ROW_LOCK_TIMEOUT_MS
from shared.runtime.health import Health
from shared.settings import Settings
from tests.support.servers import Database
from tests.unit.cli.conftest import exitflow

__all__ = ["exitflow"]

TRADER = {"Authorization": "Bearer trader-token"}
READER = {"Authorization": "Bearer reader-token"}


def user_broker(user_broker_id: str, status: Literal["CONNECTED", "DISCONNECTED"] = "CONNECTED") -> UserBrokerChanged:
    """Return an event about a user broker."""
    return UserBrokerChanged(
        user_broker_id=user_broker_id, broker="kite", status=status, changed_at=SystemClock().now()
    )


@pytest.fixture
def trade_engine(database: Database) -> Iterator[Engine]:
    """The test's database with the trade role; user broker ``paper`` is known."""
    limits = replace(REQUESTS, lock_ms=ROW_LOCK_TIMEOUT_MS)  # as trade-fills has it
    engine = open_engine(database.trade_url, "trade_management", application="test", limits=limits)
    with engine.begin() as connection:
        UserBrokerRepository(connection).apply([user_broker("paper")])
    yield engine
    engine.dispose()


@pytest.fixture
def client(database: Database, trade_engine: Engine) -> Iterator[TestClient]:
    """A trader's client; a reader's token is known too."""
    migrator = open_engine(database.migrator_url, "trade_management", application="test")
    with migrator.begin() as connection:
        store_token(connection, "trader-token", "tara", [Scope.READ, Scope.TRADE])
        store_token(connection, "reader-token", "rita", [Scope.READ])
        store_token(connection, "operator-token", "ops-desk", [Scope.OPERATE])
    migrator.dispose()
    health = Health("database", deadline_s=math.inf)
    health.fine("database")
    settings = Settings(trade_database_url=SecretStr(database.trade_url))
    with TestClient(create(settings, trade_engine, health, SystemClock())) as http:
        http.headers.update(TRADER)
        yield http
