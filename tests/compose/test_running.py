"""Demo, consumer, copies, restarts and kills, from outside the containers."""

from __future__ import annotations

import json
import subprocess
import time
from itertools import count

import pytest
from confluent_kafka import Consumer

from services.cli.main import COMMANDS
from shared.runtime.catalogue import PROCESSES
from tests.compose.containers import Containers, all_closed

pytestmark = pytest.mark.timeout(1200)

KILLED = (
    "exit-ticks",
    "relay",
    "exit-orders",
    "trade-fills",
    "kafka",
    "trade-api",
    "postgres",
    "paper-broker",
    "console",
    "edge",
    "exit-api",
)
SMALL = ("--trades", "60", "--symbols", "6")


def test_every_command_of_the_image_shows_its_help(containers: Containers) -> None:
    """The image has another Python than the suite."""
    commands = [name for group in COMMANDS.values() for name in group]
    script = "; ".join(f"exitflow {name} --help > /dev/null || echo {name}" for name in commands)
    assert containers.compose("run", "--rm", "-T", "--no-deps", "tools", "sh", "-c", script).split() == []


def test_the_demo_from_outside_closes_every_trade_and_everything_holds(containers: Containers) -> None:
    containers.demo(*SMALL, "--seed", "1")


def test_a_consumer_on_the_host_reads_what_was_filled(containers: Containers) -> None:
    containers.demo("--trades", "10", "--symbols", "2", "--seed", "2")
    closed = {trade["exit_intent_id"] for trade in closed_trades(containers)}
    assert closed
    assert filled_on_kafka(containers, wanted=closed) >= closed


def test_down_and_up_keep_all_data_and_go_on(containers: Containers) -> None:
    before = closed_trades(containers)
    containers.compose("down")
    containers.compose("up", "--wait")
    assert closed_trades(containers) == before
    containers.demo(*SMALL, "--seed", "3")


def test_a_second_copy_of_each_process_shares_the_work(containers: Containers) -> None:
    containers.compose("up", "--wait", *(f"--scale={name}=2" for name in PROCESSES))
    containers.demo(*SMALL, "--seed", "4")
    running = containers.compose("ps", "--format", "{{.Service}}").split()
    assert {name for name in PROCESSES if running.count(name) == 2} == set(PROCESSES)
    containers.compose("up", "--wait")


def test_killed_containers_lose_and_double_nothing(containers: Containers) -> None:
    seeds = count(50)
    play = started(containers, next(seeds))
    for service in KILLED:
        while not killed_under(play, containers, service):
            all_closed(play)
            play = started(containers, next(seeds))
    all_closed(play)
    containers.compose("run", "--rm", "-T", "--no-deps", "check")


def killed_under(play: subprocess.Popen[str], containers: Containers, service: str) -> bool:
    """Kill the service's container and start it again; whether the demo was not over by then."""
    containers.compose("kill", "-s", "KILL", service)
    playing = play.poll() is None
    containers.compose("up", "--detach", "--no-deps", "--wait", service)
    return playing


def test_a_process_that_dies_by_itself_is_started_again(containers: Containers) -> None:
    kill = "import os; os.kill(int(open('/proc/1/task/1/children').read().split()[0]), 9)"
    containers.compose("exec", "-T", "relay", "python", "-c", kill)
    await_restart(containers, "relay")


def test_crashed_back_end_ends_postgresql_and_engine_restarts_it(containers: Containers) -> None:
    oldest = "SELECT pid FROM pg_stat_activity WHERE usename LIKE 'exitflow%' ORDER BY backend_start LIMIT 1"
    kill = f'kill -9 $(psql -U postgres -Atc "{oldest}" exitflow)'
    containers.compose("exec", "-T", "postgres", "bash", "-c", kill)
    await_restart(containers, "postgres")
    containers.compose("run", "--rm", "-T", "--no-deps", "check")


def await_restart(containers: Containers, service: str) -> None:
    """Return once the engine has started the container again and everything is healthy."""
    deadline = time.monotonic() + 60
    while containers.inspected()[service]["RestartCount"] == 0:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    containers.compose("up", "--wait")


def started(containers: Containers, seed: int) -> subprocess.Popen[str]:
    """A demo at the opening of its trades, or a little further."""
    before = open_count(containers)
    play = containers.play("--trades", "300", "--symbols", "15", "--seed", str(seed))
    deadline = time.monotonic() + 60
    while open_count(containers) == before:
        assert play.poll() is None and time.monotonic() < deadline
    return play


def open_count(containers: Containers) -> int:
    return len(json.loads(containers.command_line("trades", "list", "--status", "OPEN", "--limit", "1", "--json")))


def closed_trades(containers: Containers) -> list[dict[str, str]]:
    listed = containers.command_line("trades", "list", "--status", "CLOSED", "--limit", "1000", "--json")
    return sorted(json.loads(listed), key=lambda trade: str(trade["trade_id"]))


def filled_on_kafka(containers: Containers, *, wanted: set[str], limit_s: float = 60) -> set[str]:
    """The intents with an ExitIntentFilled read by a new consumer group from the beginning."""
    config = {**containers.operator(), "group.id": "exitflow-operator-test", "auto.offset.reset": "earliest"}
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
