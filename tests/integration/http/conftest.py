"""Both APIs on one database, with a token of every scope."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from services.exit_qualification.api import app as exit_api
from services.trade_management.api import app as trade_api
from services.trade_management.storage.user_brokers import UserBrokerRepository
from shared.clock import SystemClock
from shared.http.auth import Scope, store_token
from shared.postgres.engine import open_engine
from shared.runtime.health import Health
from shared.settings import Settings
from tests.integration.trade_management.conftest import user_broker
from tests.support.servers import Database, Databases

TOKEN = "all-scopes-token"
AUTHORIZATION = {"Authorization": f"Bearer {TOKEN}"}
SCHEMAS = {"exit-api": "exit_qualification", "trade-api": "trade_management"}


@dataclass(frozen=True)
class Api:
    """An API in this process, a client of it, and the database behind it."""

    name: str
    app: FastAPI
    client: TestClient
    engine: Engine
    database: Database


@pytest.fixture(scope="module")
def apis(databases: Databases) -> Iterator[dict[str, Api]]:
    """Both APIs; the tests of a module share them."""
    with databases.fresh() as database:
        made = {name: _api(name, database) for name in SCHEMAS}
        yield made
        for api in made.values():
            api.client.close()
            api.engine.dispose()


@pytest.fixture(params=sorted(SCHEMAS))
def api(request: pytest.FixtureRequest, apis: dict[str, Api]) -> Api:
    """Each of the two APIs."""
    return apis[request.param]


def _api(name: str, database: Database) -> Api:
    migrator = open_engine(database.migrator_url, SCHEMAS[name], application="test")
    with migrator.begin() as connection:
        store_token(connection, TOKEN, "alma", list(Scope))
        if name == "trade-api":
            UserBrokerRepository(connection).apply([user_broker("paper")])
    migrator.dispose()
    url, create = {
        "exit-api": (database.exit_url, exit_api.create),
        "trade-api": (database.trade_url, trade_api.create),
    }[name]
    engine = open_engine(url, SCHEMAS[name], application="test")
    app = create(Settings(), engine, Health(), SystemClock())
    client = TestClient(app, raise_server_exceptions=False)
    client.headers.update(AUTHORIZATION)
    return Api(name, app, client, engine, database)
