"""How long the broker's calls took, as exit-orders has timed them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from shared.http.clients import direct
from shared.runtime.metric_samples import MetricSamples

CALLS = ("place", "order_trades")
"""Calls of an exit filled at once."""

SECONDS, COUNT = "exit_broker_call_seconds_sum", "exit_broker_call_seconds_count"
LIMIT_S = 5


@dataclass
class BrokerCalls:
    """Mean milliseconds of each kind of call; complete after its block."""

    mean_ms: dict[str, float] = field(default_factory=dict)


@contextmanager
def timed_broker_calls(exit_orders: str) -> Iterator[BrokerCalls]:
    """Time the calls within the block by the metrics of exit-orders at this URL."""
    calls, before = BrokerCalls(), _scrape(exit_orders)
    yield calls
    after = _scrape(exit_orders)
    for call in CALLS:
        made = after.total(COUNT, call=call) - before.total(COUNT, call=call)
        if made:
            calls.mean_ms[call] = 1000 * (after.total(SECONDS, call=call) - before.total(SECONDS, call=call)) / made


def _scrape(exit_orders: str) -> MetricSamples:
    told = httpx.get(f"{exit_orders}/metrics", timeout=LIMIT_S, **direct(exit_orders)).raise_for_status()
    return MetricSamples.parse(told.text, (SECONDS, COUNT))
