"""The process: fed by real Kafka, killed and started again, stopped on request."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from confluent_kafka import Producer
from kiteconnect import KiteConnect

from deploy.local.processes.ports import free_port
from shared.contracts.topics import MARKET_TICKS, TRADES, TopicNames
from shared.contracts.trades import TradeOpened
from shared.ids import new_id
from shared.kafka.clients import flush_or_fail, open_producer
from shared.settings import Settings
from tests.integration.paper_broker.conftest import ACCESS_TOKEN, API_KEY, CREDENTIALS
from tests.integration.paper_broker.test_official_client import market_order, the_order
from tests.support.product_process import ProductProcess, run
from tests.support.signing import signed
from tests.support.waiting import LIMIT_S, wait_until


@dataclass
class Process:
    """A paper-broker process."""

    child: ProductProcess
    url: str
    log: Path

    def client(self) -> KiteConnect:
        """The official client for it."""
        kite = KiteConnect(api_key=API_KEY, access_token=ACCESS_TOKEN, root=self.url)
        kite.reqsession.trust_env = False
        return kite

    def is_alive(self) -> bool:
        """True once it answers."""
        return self._answers("/healthz")

    def is_ready(self) -> bool:
        """True once it says so."""
        return self._answers("/readyz")

    def _answers(self, path: str) -> bool:
        assert self.child.poll() is None, self.log.read_text()
        try:
            return requests.get(f"{self.url}{path}", timeout=LIMIT_S).status_code == 200
        except requests.ConnectionError:
            return False


@contextmanager
def running_process(
    settings: Settings, directory: Path, until: Callable[[Process], bool] = Process.is_ready
) -> Iterator[Process]:
    """The process with its ledger in `directory`, once `until` holds; killed at the end if it still runs."""
    port = free_port(str(directory))
    environment = {
        "EXITFLOW_KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "EXITFLOW_KAFKA_TOPIC_PREFIX": settings.kafka_topic_prefix,
        "EXITFLOW_PAPER_BROKER_DIR": str(directory),
        "EXITFLOW_BROKER_CREDENTIALS": CREDENTIALS,
        "EXITFLOW_HTTP_PORT": str(port),
    }
    log = directory / "log"
    child = ProductProcess(run("run", "paper-broker"), environment, log)
    process = Process(child, f"http://127.0.0.1:{port}", log)
    try:
        wait_until(lambda: until(process), "the process has come up")
        yield process
    finally:
        child.kill()
        child.wait()


@pytest.fixture
def producer(settings: Settings, topics: TopicNames) -> Producer:
    """A producer to the environment's topics."""
    return open_producer(settings)


def send_tick(producer: Producer, topics: TopicNames, price: str, seq: int) -> None:
    """INFY trades at `price`."""
    tick = {"symbol": "NSE:INFY", "ltp": price, "ts": "2026-01-13T09:15:00Z", "seq": seq}
    producer.produce(topics.on_cluster(MARKET_TICKS), key="NSE:INFY", value=json.dumps(tick))
    flush_or_fail(producer)


def send_opened(
    producer: Producer, topics: TopicNames, trade_id: str, quantity: int = 100, forged: bool = False
) -> None:
    """A trade of INFY is opened at 1000.00."""
    event = TradeOpened.model_validate(
        {
            "trade_id": trade_id,
            "symbol": "NSE:INFY",
            "direction": "LONG",
            "product_type": "MIS",
            "user_broker_id": "paper",
            "quantity": quantity,
            "entry_price": "1000.00",
            "exit_plan": {"target": "1010.00"},
            "entered_at": "2026-01-13T03:45:00Z",
        }
    )
    topic = topics.on_cluster(TRADES)
    headers = {"ce_type": event.event_type()}
    if not forged:
        headers = signed(topic, event.key, event.payload(), headers)
    producer.produce(topic, key=event.key, value=event.payload(), headers=[*headers.items()])
    flush_or_fail(producer)


def last_price(kite: KiteConnect) -> float | None:
    """The broker's price of INFY."""
    quote = kite.ltp("NSE:INFY")
    return quote["NSE:INFY"]["last_price"] if quote else None


def held(kite: KiteConnect) -> int:
    """The net position of INFY."""
    return sum(position["quantity"] for position in kite.positions()["net"])


def test_ticks_and_entries_from_kafka_survive_kill_9(
    settings: Settings, topics: TopicNames, producer: Producer, tmp_path: Path
) -> None:
    trade_id = str(new_id())
    with running_process(settings, tmp_path) as first:
        producer.produce(topics.on_cluster(MARKET_TICKS), key="NSE:INFY", value=b"nonsense")
        send_tick(producer, topics, "1010.05", 1)
        send_opened(producer, topics, trade_id)
        wait_until(lambda: last_price(first.client()) == 1010.05, "the tick arrives")
        wait_until(lambda: held(first.client()) == 100, "the entry arrives")
        order_id = market_order(first.client(), quantity=60)
        book = first.client().orders()
        first.child.send_signal(signal.SIGKILL)
        first.child.wait()
    send_tick(producer, topics, "1011.00", 2)
    send_opened(producer, topics, trade_id)
    send_opened(producer, topics, str(new_id()), quantity=7)
    with running_process(settings, tmp_path) as second:
        kite = second.client()
        wait_until(lambda: last_price(kite) == 1011, "the feed goes on")
        wait_until(lambda: held(kite) == 100 - 60 + 7, "the new entry is booked and the repeated one is not")
        assert kite.orders() == book
        assert the_order(kite, order_id)["status"] == "COMPLETE"


def test_an_unsigned_entry_is_not_booked(
    settings: Settings, topics: TopicNames, producer: Producer, tmp_path: Path
) -> None:
    with running_process(settings, tmp_path) as process:
        kite = process.client()
        send_opened(producer, topics, str(new_id()), quantity=5000, forged=True)
        send_opened(producer, topics, str(new_id()), quantity=7)
        wait_until(lambda: "not to be trusted" in process.log.read_text(), "the forged entry is refused")
        wait_until(lambda: held(kite) != 0, "an entry is booked")
        assert held(kite) == 7


def test_sigterm_ends_it_in_order(settings: Settings, topics: TopicNames, tmp_path: Path) -> None:
    with running_process(settings, tmp_path) as process:
        process.child.send_signal(signal.SIGTERM)
        assert process.child.wait(LIMIT_S) == 0
        assert "Traceback" not in process.log.read_text()


def test_it_is_not_ready_without_its_topics(settings: Settings, tmp_path: Path) -> None:
    with running_process(settings, tmp_path, until=Process.is_alive) as process:
        assert not process.is_ready()
        wait_until(
            lambda: "no such topics" in requests.get(f"{process.url}/readyz", timeout=LIMIT_S).text, "it says why"
        )
