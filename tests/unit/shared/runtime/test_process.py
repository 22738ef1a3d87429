"""A process has one name, and ends when one of its threads fails."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client.samples import Sample

from deploy.local.processes.ports import free_port
from shared.clock import SystemClock
from shared.errors import ConfigurationError
from shared.http.app import create_app
from shared.kafka.clients import client_config
from shared.runtime import process
from shared.runtime.catalogue import CataloguedProcess
from shared.runtime.health import Health
from shared.runtime.process import INFO, ProcessSpec, RunningProcess
from shared.runtime.stopping import Stop
from shared.runtime.telemetry import REGISTRY
from shared.settings import Settings
from tests.support.waiting import wait_until

TOY = CataloguedProcess("toy", "nowhere", "nothing", "nothing")


@pytest.fixture(autouse=True)
def _process_wide() -> Iterator[None]:
    signals = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for number, handler in signals.items():
        signal.signal(number, handler)


def test_kafka_metrics_and_logs_show_the_name(capfd: pytest.CaptureFixture[str]) -> None:
    INFO.clear()  # other tests of this worker ran other processes
    seen: list[object] = []

    def work(process: RunningProcess) -> None:
        def say(stop: Stop) -> None:
            logging.getLogger("anything").warning("at work")
            seen.append(client_config(process.settings)["client.id"])
            stop.set()

        process.threads.add("say", say)

    ProcessSpec(TOY, work).main(Settings(log_format="json"))
    (line,) = [each for each in capfd.readouterr().err.splitlines() if "at work" in each]
    assert json.loads(line)["process"] == "toy"
    assert seen == ["toy"]
    assert [sample.labels["process"] for sample in _info()] == ["toy"]


def _info() -> list[Sample]:
    return [sample for metric in REGISTRY.collect() if metric.name == "process_info" for sample in metric.samples]


def test_an_api_ends_when_one_of_its_threads_fails() -> None:
    port = free_port("toy")
    asked: list[int] = []

    def build(process: RunningProcess) -> FastAPI:
        def fail_once_served(stop: Stop) -> None:
            while not asked and not stop.wait(0.01):
                try:
                    asked.append(httpx.get(f"http://127.0.0.1:{port}/", timeout=5).status_code)
                except httpx.ConnectError:
                    continue
            raise LookupError("not there")

        process.threads.add("failing", fail_once_served)
        return FastAPI()

    with pytest.raises(LookupError, match="not there"):
        ProcessSpec(TOY, build).main(Settings(http_port=port))
    assert asked == [404]


def test_resources_are_closed_after_the_threads_have_ended() -> None:
    ended: list[str] = []

    def end_with_the_others(stop: Stop) -> None:
        stop.wait()
        ended.append("thread")

    def build(process: RunningProcess) -> None:
        process.resources.callback(ended.append, "resource")
        process.threads.add("main", lambda stop: stop.set())
        process.threads.add("other", end_with_the_others)

    ProcessSpec(TOY, build).main(Settings())
    assert ended == ["thread", "resource"]


def test_a_taken_port_is_a_configuration_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = Settings(http_port=taken.getsockname()[1])
        with pytest.raises(ConfigurationError, match="cannot listen"):
            ProcessSpec(TOY, lambda _: FastAPI()).main(settings)


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz").is_success
    except httpx.TransportError:
        return False


def test_a_health_server_that_sleeps_is_woken_to_end() -> None:
    port = free_port("sleeping")
    with process.health_server(Settings(http_port=port), Health()):
        wait_until(lambda: answers(port), "it answers")
        (thread,) = [each for each in threading.enumerate() if each.name == "health"]
    assert not thread.is_alive()


def test_an_api_that_sleeps_ends_on_a_signal() -> None:
    port, ended = free_port("sleeping"), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())  # uvicorn raises the signal again once it is done

    def end_it() -> None:
        wait_until(lambda: answers(port), "it answers")
        os.kill(os.getpid(), signal.SIGTERM)

    ending = threading.Thread(target=end_it)
    ending.start()
    process.serve(create_app("toy", Health()), Settings(http_port=port), None, Stop())
    ending.join()
    assert ended.is_set()


def test_an_answer_has_the_date_of_its_moment() -> None:
    port = free_port("dated")
    with process.health_server(Settings(http_port=port), Health()):
        wait_until(lambda: answers(port), "it answers")
        dates = httpx.get(f"http://127.0.0.1:{port}/healthz").headers.get_list("date")
    [date] = dates
    assert abs((parsedate_to_datetime(date) - SystemClock().now()).total_seconds()) < 60
