"""`exitflow top`: figures of two looks, and the command against answering, refusing and absent processes."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from rich.console import Console

from deploy.local.processes.ports import free_port
from services.top.figures import figures, quantile
from services.top.observation import MOST_PENDING, NAMES, Observation, ProcessLook
from services.top.view import render
from shared.runtime.metric_samples import MetricSamples
from tests.unit.cli.conftest import exitflow
from tests.unit.cli.results import Result

__all__ = ["exitflow"]


def scrape(ticks: int, seconds: list[float], lag: int = 0) -> str:
    """The text of exit-ticks after so many ticks and exits of these latencies."""
    registry = CollectorRegistry()
    Counter("exit_ticks_evaluated", "ticks", registry=registry).inc(ticks)
    latency = Histogram("exit_tick_to_intent_seconds", "s", buckets=(0.01, 0.1, 1), registry=registry)
    for each in seconds:
        latency.observe(each)
    Gauge("consumer_lag_records", "lag", ["topic", "partition"], registry=registry).labels("ticks", "0").set(lag)
    backlog = Gauge("outbox_backlog_events", "of all", ["outbox"], registry=registry)
    backlog.labels("exit").set(lag)
    return generate_latest(registry).decode()


def look(at_s: float, *texts: str, problem: str | None = None, pending: dict[str, int] | None = None) -> Observation:
    """An observation of processes with these texts."""
    samples = [MetricSamples.parse(text, NAMES) for text in texts]
    looks = tuple(ProcessLook(f"p{n}", problem, each) for n, each in enumerate(samples))
    return Observation(at_s, looks, sum(samples, MetricSamples()), {} if pending is None else pending)


def shown(found: Any, width: int = 80) -> str:
    """The view as text."""
    console = Console(width=width, record=True, file=None, quiet=True)
    with console.capture() as captured:
        console.quiet = False
        console.print(render(found))
    return captured.get()


def test_rates_and_percentiles_are_those_between_two_looks() -> None:
    before = look(10.0, scrape(1000, [5.0] * 50))
    after = look(12.0, scrape(1500, [5.0] * 50 + [0.005] * 100, lag=7))
    found = figures(before, after)
    assert found.rates_per_s["exit_ticks_evaluated"] == 250
    assert found.totals["exit_ticks_evaluated"] == 1500
    low, high = found.latencies_ms["exit_tick_to_intent_seconds"] or (0, 0)
    assert 0 < low < high <= 10
    assert found.lag_records == {"ticks": 7}
    assert found.latencies_ms["exit_time_to_fill_ms"] is None


def test_restarted_process_counts_from_zero_and_idle_shows_latencies() -> None:
    found = figures(look(0, scrape(1000, [0.05])), look(1, scrape(30, [0.05])))
    assert found.rates_per_s["exit_ticks_evaluated"] == 30
    low, high = found.latencies_ms["exit_tick_to_intent_seconds"] or (0, 0)
    assert 10 < low < high <= 100


def test_outbox_wide_measures_of_several_relays_are_not_summed() -> None:
    texts = scrape(1, [], lag=40), scrape(2, [], lag=50)
    found = figures(look(0, *texts), look(1, *texts))
    assert found.outboxes["exit"]["backlog"] == 50
    assert found.lag_records == {"ticks": 90}


@given(st.lists(st.floats(0, 100), min_size=1, max_size=40), st.floats(0.01, 1))
def test_a_quantile_lies_in_the_bucket_of_the_value(values: list[float], share: float) -> None:
    bounds = [0.5, 2.0, 10.0, math.inf]
    counts = {bound: float(sum(value <= bound for value in values)) for bound in bounds}
    exact = sorted(values)[math.ceil(share * len(values)) - 1]
    above = next(bound for bound in bounds if exact <= bound)
    below = max([0.0, *(bound for bound in bounds if bound < above)])
    found = quantile(counts, share)
    assert below <= found <= (below if above == math.inf else above)


def test_the_view_fits_a_terminal_and_names_what_is_wrong() -> None:
    after = look(1, scrape(5, [], lag=1234), problem="not ready (503): kafka: no progress", pending={"UNKNOWN": 2})
    found = figures(look(0, scrape(5, [])), after)
    text = shown(found)
    for part in ("1,234", "kafka: no progress", "2: 2 UNKNOWN", "ticks judged"):
        assert part in text
    assert max(map(len, text.splitlines())) <= 80
    many = replace(found, pending={"PENDING": MOST_PENDING}, pending_is_capped=True, oldest_unknown_s=61.0)
    assert f"{MOST_PENDING}+" in shown(many) and "61 s" in shown(many)
    assert "exit-api does not say" in shown(replace(found, pending=None, processes={}))


@pytest.fixture
def exit_api(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An exit-api with metrics behind the token, and two pending exits."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            known = self.headers["authorization"] == "Bearer secret" or path == "/readyz"
            body = {
                "/readyz": b"{}",
                "/metrics": scrape(7, []).encode(),
                "/exits/pending": json.dumps({"items": [{"status": "PLACED"}] * 2, "next": None}).encode(),
            }[path]
            self.send_response(200 if known else 401)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("EXITFLOW_EXIT_API_URL", url)
    monkeypatch.setenv("EXITFLOW_PUBLIC_TOKEN", "secret")
    yield url
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_script_gets_one_state_as_json(
    exit_api: str, exitflow: Callable[..., Result], tmp_path_factory: pytest.TempPathFactory
) -> None:
    gone = f"http://127.0.0.1:{free_port(str(tmp_path_factory.mktemp('gone')))}"
    at = ("--process", f"exit-api={exit_api}", "--process", f"relay={gone}", "--every", "0.1")
    result = exitflow("top", "--once", "--json", *at)
    found = json.loads(result.out)
    assert (result.status, found["totals"]["exit_ticks_evaluated"], found["pending"]) == (0, 7, {"PLACED": 2})
    assert found["processes"]["exit-api"] is None
    assert "does not answer" in found["processes"]["relay"]
    for_people = exitflow("top", "--once", *at)
    assert "2: 2 PLACED" in for_people.out and "\x1b" not in for_people.out


def test_the_token_goes_to_the_apis_alone(exit_api: str, exitflow: Callable[..., Result]) -> None:
    other = exit_api.replace("127.0.0.1", "localhost")
    found = json.loads(exitflow("top", "--once", "--json", "--every", "0.1", "--process", f"x={other}").out)
    assert found["totals"]["exit_ticks_evaluated"] == 0


def test_a_process_without_a_url_is_refused(exitflow: Callable[..., Result], exit_api: str) -> None:
    result = exitflow("top", "--once", "--process", "relay")
    assert (result.status, "write NAME=URL" in result.err) == (1, True)
