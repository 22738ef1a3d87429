"""Common fixtures of the integration tests of exit qualification."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from services.exit_qualification.domain.order_terms import BrokerStatus
from services.exit_qualification.domain.switches import Rollout, UserBroker
from services.exit_qualification.orders.brokers.registry import BOOK_DAYS
from services.exit_qualification.storage.operator_controls import SwitchRepository
from shared.contracts.vocabulary import RolloutMode
from shared.postgres.audit import Act
from shared.postgres.connection_limits import REQUESTS
from shared.postgres.engine import open_engine
from shared.postgres.row_locks import ROW_LOCK_TIMEOUT_MS
from tests.support.servers import Database


@pytest.fixture
def exit_engine(database: Database) -> Iterator[Engine]:
    """The test's database with the exit role, rollout full, user broker ``paper`` connected."""
    limits = replace(REQUESTS, lock_ms=ROW_LOCK_TIMEOUT_MS)  # as the workers have it
    engine = open_engine(database.exit_url, "exit_qualification", application="test", limits=limits)
    act = Act("test", "set up")
    with engine.begin() as connection:
        switches = SwitchRepository(connection)
        switches.put_rollout(Rollout(RolloutMode.FULL), act)
        switches.put_broker(
            UserBroker("paper", "kite", "PAPER", "http://127.0.0.1:1", BrokerStatus.CONNECTED), act, book_days=BOOK_DAYS
        )
    yield engine
    engine.dispose()
