"""Demo, consumer, copies, restarts and kills, from outside the containers."""

from __future__ import annotations

import json
import time

import pytest
from confluent_kafka import Consumer

from tests.compose.containers import PROCESSES, Containers, verdict_of

pytestmark = pytest.mark.timeout(1200)

KILLED = ("exit-ticks", "relay", "exit-orders", "trade-fills", "kafka", "trade-api", "postgres", "paper-broker", "edge")
SMALL = ("--trades", "60", "--symbols", "6")


def test_the_demo_from_outside_closes_every_trade_and_everything_holds(containers: Containers) -> None:
    verdict_of(containers.demo(*SMALL, "--seed", "1"))


def test_a_consumer_on_the_host_reads_what_was_filled(containers: Containers) -> None:
    verdict_of(containers.demo("--trades", "10", "--symbols", "2", "--seed", "2"))
    closed = {trade["exit_intent_id"] for trade in closed_trades(containers)}
    assert closed
    assert filled_on_kafka(containers.kafka, wanted=closed) >= closed


def test_down_and_up_keep_all_data_and_go_on(containers: Containers) -> None:
    before = closed_trades(containers)
    containers.compose("down")
    containers.compose("up", "--wait")
    assert closed_trades(containers) == before
    verdict_of(containers.demo(*SMALL, "--seed", "3"))


def test_a_second_copy_of_each_process_shares_the_work(containers: Containers) -> None:
    scaled = [name for name in PROCESSES if name != "paper-broker"]
    containers.compose("up", "--wait", *(f"--scale={name}=2" for name in scaled))
    verdict_of(containers.demo(*SMALL, "--seed", "4"))
    running = containers.compose("ps", "--format", "{{.Service}}").split()
    assert {name for name in scaled if running.count(name) == 2} == set(scaled)
    containers.compose("up", "--wait")


def test_killed_containers_lose_and_double_nothing(containers: Containers) -> None:
    demo = containers.demo("--trades", "300", "--symbols", "15", "--seed", "5")
    time.sleep(5)  # the trades are being opened
    for service in KILLED:
        containers.compose("kill", "-s", "KILL", service)
        containers.compose("up", "--detach", "--no-deps", "--wait", service)
    verdict_of(demo)


def test_a_process_that_dies_by_itself_is_started_again(containers: Containers) -> None:
    containers.compose("exec", "-T", "relay", "python", "-c", "import os; os.kill(int(open('/proc/1/task/1/children')"
                       ".read().split()[0]), 9)")  # fmt: skip
    deadline = time.monotonic() + 60
    while containers.inspected()["relay"]["RestartCount"] == 0:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    containers.compose("up", "--wait")


def closed_trades(containers: Containers) -> list[dict[str, str]]:
    listed = containers.command_line("trades", "list", "--status", "CLOSED", "--limit", "1000", "--json")
    return sorted(json.loads(listed), key=lambda trade: str(trade["trade_id"]))


def filled_on_kafka(servers: str, *, wanted: set[str], limit_s: float = 60) -> set[str]:
    """The intents whose ExitIntentFilled a new consumer group reads from the beginning."""
    config = {"bootstrap.servers": servers, "group.id": "test-compose", "auto.offset.reset": "earliest"}
    consumer = Consumer({**config, "enable.auto.commit": False})
    consumer.subscribe(["exits.intents.v1"])
    found: set[str] = set()
    deadline = time.monotonic() + limit_s
    try:
        while not wanted <= found and time.monotonic() < deadline:
            message = consumer.poll(1)
            if message is None or message.error():
                continue
            headers = dict(message.headers() or [])
            if headers["ce_type"] == b"io.exitflow.ExitIntentFilled.v1":
                found.add(json.loads(message.value() or b"")["intent_id"])
    finally:
        consumer.close()
    return found
