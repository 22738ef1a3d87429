"""Order updates of the paper broker, through exit-api: they wake the reconciler, and no exit depends on them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import Engine

from services.exit_qualification.api.app import create
from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.order_terms import BrokerStatus
from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.storage.order_updates import ORDER_UPDATES
from services.paper_broker.accounts import accounts_of
from services.paper_broker.postback_queue import PostbackQueue
from services.paper_broker.postbacks import Postbacks
from shared.clock import SystemClock
from shared.contracts.vocabulary import IntentStatus
from shared.postgres.notifications import Listener
from shared.runtime.health import Health
from shared.runtime.stopping import Stop
from shared.runtime.threads import ThreadGroup
from shared.settings import Settings
from tests.integration.exit_qualification.orders.order_scenario import SYMBOL, OrderScenario
from tests.integration.exit_qualification.orders.test_broker_contract import kite_brokers
from tests.integration.exit_qualification.orders.test_kite_over_http import put
from tests.integration.paper_broker.conftest import API_SECRET, CREDENTIALS, RunningBroker, running_broker
from tests.support.servers import Database
from tests.support.waiting import LIMIT_S, wait_until

LATE_MS = 3000


@dataclass
class Venue:
    """Exits at a paper broker with postbacks to exit-api; the status of each update taken by exit-api."""

    scenario: OrderScenario
    paper: RunningBroker
    taken: list[str]

    def is_filled(self, intent: ExitIntent) -> bool:
        """Read the books once."""
        self.scenario.reconciler.reconcile_once()
        return self.scenario.intent(intent).status is IntentStatus.FILLED


@pytest.fixture
def venue(database: Database, exit_engine: Engine, tmp_path: Path) -> Iterator[Venue]:
    taken: list[str] = []

    def note(answer: httpx.Response) -> None:
        assert answer.status_code == 200
        taken.append(json.loads(answer.request.content)["status"])

    secrets = SecretStr(json.dumps({"paper": API_SECRET}))
    settings = Settings(exit_database_url=SecretStr(database.exit_url), postback_secrets=secrets)
    clock, accounts = SystemClock(), accounts_of(Settings(broker_credentials=SecretStr(CREDENTIALS)))
    with ExitStack() as stack:
        app = create(settings, exit_engine, Health("database", deadline_s=math.inf), clock)
        exit_api = stack.enter_context(TestClient(app))
        exit_api.event_hooks["response"] = [note]
        postbacks = Postbacks("/postbacks/kite", accounts, exit_api, PostbackQueue(clock, 100))
        stack.enter_context(ThreadGroup(Stop()).add("postbacks", postbacks.run))
        paper = stack.enter_context(running_broker(tmp_path, postbacks.announce))
        put(exit_engine, UserBroker("paper", "kite", "PAPER", paper.url, BrokerStatus.CONNECTED))
        yield Venue(OrderScenario(exit_engine, kite_brokers("127.0.0.1")), paper, taken)


def test_a_fill_wakes_the_reconciler(venue: Venue, exit_engine: Engine) -> None:
    listener = Listener(exit_engine, ORDER_UPDATES)
    intent = venue.scenario.placed()
    assert not venue.is_filled(intent)
    assert not listener.wait(0.01), "an order that was only accepted wakes nobody"
    venue.paper.price(SYMBOL, "1010.00")
    assert listener.wait(LIMIT_S)
    assert venue.is_filled(intent)
    listener.close()


@pytest.mark.parametrize(
    ("faults", "taken"),
    [
        ([({"kind": "lose_postback"}, None)], []),
        ([({"kind": "lose_postback"}, 1)], ["COMPLETE"]),
        ([({"kind": "duplicate_postback", "copies": 3}, None)], ["UPDATE"] * 3 + ["COMPLETE"] * 3),
        ([({"kind": "delay_postback", "ms": LATE_MS}, 1)], ["COMPLETE", "UPDATE"]),
        (
            [({"kind": "delay_postback", "ms": LATE_MS}, 1), ({"kind": "duplicate_postback"}, None)],
            ["COMPLETE"] * 2 + ["UPDATE"] * 2,
        ),
    ],
)
def test_an_exit_ends_right_whatever_becomes_of_its_updates(
    venue: Venue, faults: Sequence[tuple[dict[str, Any], int | None]], taken: list[str]
) -> None:
    venue.paper.fault({"kind": "partial_fill", "quantity": 40, "rest_after_ms": 50})
    for effect, count in faults:
        venue.paper.fault(effect, count=count)
    venue.paper.price(SYMBOL, "1010.00")
    intent = venue.scenario.placed()
    wait_until(lambda: venue.is_filled(intent), "the exit is filled")
    wait_until(lambda: len(venue.taken) >= len(taken), f"exit-api takes {taken}")
    assert venue.is_filled(intent), "an update after the end changes nothing"
    assert venue.taken == taken
    assert venue.scenario.filled_of_trade(intent.trade_id) == 100
    (order,) = venue.paper.client().orders()
    assert (order["status"], order["filled_quantity"]) == ("COMPLETE", 100)
