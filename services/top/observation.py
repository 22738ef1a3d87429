"""One look at a running system: every process's metrics and readiness, and the pending exits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx

from deploy.compose.health_probe import problem_of
from services.cli.support.api_client import ApiClient, Refused
from services.cli.support.connection import Target
from shared.clock import Clock
from shared.errors import Unavailable
from shared.http.clients import direct
from shared.runtime.metric_samples import MetricSamples

LIMIT_S = 3.0
MOST_PENDING = 500
"""Pending exits to count."""

COUNTERS = (
    "exit_ticks_evaluated",
    "exit_signals_detected",
    "exit_intents_placed",
    "exit_intents_filled",
    "exit_intents_failed",
    "exit_intents_rejected",
    "trades_closed",
    "outbox_published",
)
GAUGES = (
    "consumer_lag_records",
    "outbox_backlog_events",
    "outbox_oldest_unpublished_age_seconds",
    "outbox_parked_events",
    "outbox_shards_unheld",
    "waiting_work",
    "exit_orders_oldest_unknown_seconds",
)
HISTOGRAMS = {
    "exit_tick_to_intent_seconds": 1000.0,
    "exit_time_to_fill_ms": 1.0,
    "trade_fill_to_close_seconds": 1000.0,
    "outbox_publish_latency_seconds": 1000.0,
}
"""Their names, and the factor from their unit to milliseconds."""
NAMES = (*(f"{name}_total" for name in COUNTERS), *GAUGES, *(f"{name}_bucket" for name in HISTOGRAMS))


@dataclass(frozen=True, slots=True)
class ProcessLook:
    """The answers of one process; `problem` is None if it is ready."""

    name: str
    problem: str | None
    samples: MetricSamples


@dataclass(frozen=True, slots=True)
class Observation:
    """All of it.

    Attributes
    ----------
    at_s:
        Seconds of the monotonic clock.
    samples:
        Of all processes together.
    pending:
        Pending exits by status, of the oldest `MOST_PENDING`; None if exit-api does not say.
    """

    at_s: float
    processes: tuple[ProcessLook, ...]
    samples: MetricSamples
    pending: Mapping[str, int] | None


class Observer:
    """Look at a system again and again.

    Parameters
    ----------
    processes:
        Root URL of each process by name.
    """

    def __init__(self, target: Target, processes: Mapping[str, str], clock: Clock) -> None:
        self._clock = clock
        self._processes = processes
        headers = {"Authorization": f"Bearer {target.token}"} if target.token else {}
        # Metrics of the two APIs need the token. No other URL is sent it.
        directly = direct(*processes.values())
        self._open = httpx.Client(timeout=LIMIT_S, **directly)
        self._apis = {target.exit_api.rstrip("/"), target.trade_api.rstrip("/")}
        self._known = httpx.Client(timeout=LIMIT_S, headers=headers, **directly)
        self._exits = ApiClient(target.exit_api, target.token, timeout_s=LIMIT_S)
        self._pool = ThreadPoolExecutor(max_workers=2 * len(processes) + 1, thread_name_prefix="look")

    def __enter__(self) -> Self:
        self._exits.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown()
        self._open.close()
        self._known.close()
        self._exits.__exit__(kind, error, trace)

    def look(self) -> Observation:
        """Return the present state; a silent process costs a few seconds, and so do several."""
        at_s = self._clock.monotonic()
        pending = self._pool.submit(self._pending)
        problems = self._pool.map(problem_of, self._processes.values())
        samples = self._pool.map(self._samples, self._processes.values())
        looks = tuple(map(ProcessLook, self._processes, problems, samples))
        return Observation(at_s, looks, sum((each.samples for each in looks), MetricSamples()), pending.result())

    def _samples(self, root: str) -> MetricSamples:
        url = root.rstrip("/")
        client = self._known if url in self._apis else self._open
        try:
            response = client.get(f"{url}/metrics")
            return MetricSamples.parse(response.text if response.is_success else "", NAMES)
        except (httpx.HTTPError, ValueError):
            return MetricSamples()

    def _pending(self) -> Mapping[str, int] | None:
        try:
            return dict(Counter(each["status"] for each in self._exits.items("/exits/pending", limit=MOST_PENDING)))
        except (Unavailable, Refused):
            return None
