"""A paper broker over real HTTP, and the official client for it."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
import uvicorn
from kiteconnect import KiteConnect
from pydantic import SecretStr

from services.paper_broker.app import create_broker_app
from services.paper_broker.broker import LAST_MS, Announce
from services.paper_broker.desk import Desk
from services.paper_broker.market_feed import CONDITION
from services.paper_broker.positions import Entry
from services.paper_broker.process import fill_when_due, open_desk
from services.paper_broker.quotes import PriceTick
from shared.money import to_units
from shared.runtime.health import Health
from shared.runtime.stopping import Stop
from shared.runtime.threads import ThreadGroup
from shared.settings import Settings
from tests.support.waiting import LIMIT_S, wait_until

API_KEY, API_SECRET, ACCESS_TOKEN = "key", "secret", "token"
CREDENTIALS = f'{{"paper": {{"api_key": "{API_KEY}", "api_secret": "{API_SECRET}", "access_token": "{ACCESS_TOKEN}"}}}}'


@dataclass
class RunningBroker:
    """A broker with answers at `url`; prices and entries are put in as the feed would."""

    url: str
    desk: Desk
    ticks: int = 0

    def client(self, **options: Any) -> KiteConnect:
        """The official client with valid credentials, unless told otherwise."""
        kite = KiteConnect(**{"api_key": API_KEY, "access_token": ACCESS_TOKEN, "root": self.url, **options})
        kite.reqsession.trust_env = False
        return kite

    def price(self, symbol: str, price: str) -> None:
        """The market trades `symbol` at `price`."""
        self.ticks += 1
        now_us = self.desk.records.now_ms() * 1000
        self.desk.broker.take_market([PriceTick(symbol, to_units(Decimal(price)), now_us, self.ticks)])

    def enter(self, entry: Entry) -> None:
        """A trade is opened at an account."""
        self.desk.broker.take_market([], [entry])

    def fault(self, effect: dict[str, Any], symbol: str | None = "NSE:INFY", count: int | None = 1) -> None:
        """Put a fault rule in force through the control surface."""
        answer = requests.post(
            f"{self.url}/paper/faults",
            json={"symbol": symbol, "count": count, "effect": effect},
            headers={"Authorization": f"token {API_KEY}:{ACCESS_TOKEN}"},
            timeout=LIMIT_S,
        )
        assert answer.json()["status"] == "success", answer.text

    def anything_due(self) -> bool:
        """Whether a cancel or a fill after one is still to come."""
        with self.desk.ledger.read() as books:
            return bool(books.surprises.due(LAST_MS, 1))

    def clear_faults(self) -> None:
        """Remove every fault rule."""
        headers = {"Authorization": f"token {API_KEY}:{ACCESS_TOKEN}"}
        assert requests.delete(f"{self.url}/paper/faults", headers=headers, timeout=LIMIT_S).ok


@contextmanager
def running_broker(directory: Path, announce: Announce | None = None, **changes: Any) -> Iterator[RunningBroker]:
    """A broker with its ledger in `directory`, on a port of its own, without Kafka; it takes many orders at once."""
    wide = {"orders_per_s": 1000, "orders_per_min": 50_000, "orders_per_day": 1_000_000}
    settings = Settings(paper_broker_dir=directory, broker_credentials=SecretStr(CREDENTIALS), **{**wide, **changes})
    health = Health(CONDITION, deadline_s=math.inf)
    health.fine(CONDITION)
    with open_desk(settings, announce) as desk:
        server = uvicorn.Server(
            uvicorn.Config(create_broker_app(desk, health), host="127.0.0.1", port=0, log_config=None)
        )
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            wait_until(lambda: server.started, "the server listens")
            port = server.servers[0].sockets[0].getsockname()[1]
            with ThreadGroup(Stop()).add("delayed-fills", lambda stop: fill_when_due(desk.broker, stop, health)):
                yield RunningBroker(f"http://127.0.0.1:{port}", desk)
        finally:
            server.should_exit = True
            thread.join(LIMIT_S)
            assert not thread.is_alive()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RunningBroker]:
    """A running broker with an empty ledger."""
    with running_broker(tmp_path) as running_one:
        yield running_one


@pytest.fixture
def kite(broker: RunningBroker) -> KiteConnect:
    """The official client of the broker."""
    return broker.client()
