"""How long the broker's calls took, as exit-orders has timed them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
from prometheus_client.parser import text_string_to_metric_families

from shared.http.clients import direct

CALLS = ("place", "order_trades")
"""Calls of an exit filled at once."""

FAMILY = "exit_broker_call_seconds"
LIMIT_S = 5


@dataclass
class BrokerCalls:
    """Mean milliseconds of each kind of call; complete after its block."""

    mean_ms: dict[str, float] = field(default_factory=dict)


@contextmanager
def timed_broker_calls(exit_orders: str) -> Iterator[BrokerCalls]:
    """Time the calls within the block by the metrics of exit-orders at this URL."""
    calls, before = BrokerCalls(), _sums(exit_orders)
    yield calls
    after = _sums(exit_orders)
    for call in CALLS:
        made = _of(after, "count", call) - _of(before, "count", call)
        if made:
            calls.mean_ms[call] = 1000 * (_of(after, "sum", call) - _of(before, "sum", call)) / made


def _of(sums: Mapping[tuple[str, str], float], what: str, call: str) -> float:
    return sums.get((f"{FAMILY}_{what}", call), 0.0)


def _sums(exit_orders: str) -> dict[tuple[str, str], float]:
    """Return sums and counts by name and call."""
    told = httpx.get(f"{exit_orders}/metrics", timeout=LIMIT_S, **direct(exit_orders)).raise_for_status().text
    return {
        (sample.name, sample.labels.get("call", "")): sample.value
        for family in text_string_to_metric_families(told)
        if family.name == FAMILY
        for sample in family.samples
    }
