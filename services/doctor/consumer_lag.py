"""Records not acted upon yet by processes, from their metrics."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import httpx

from services.doctor.asking import side_by_side
from shared.http.clients import direct
from shared.runtime.metric_samples import MetricSamples

LIMIT_S = 3.0
LAG = "consumer_lag_records"


def consumer_lag(processes: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Return the lag of each topic by process; empty for a process without topics or without metrics."""
    with httpx.Client(timeout=LIMIT_S, **direct(*processes.values())) as client:
        return dict(zip(processes, side_by_side(partial(_of, client), processes.values()), strict=True))


def _of(client: httpx.Client, url: str) -> dict[str, float]:
    try:
        response = client.get(f"{url.rstrip('/')}/metrics")
        return MetricSamples.parse(response.text if response.is_success else "", (LAG,)).by(LAG, "topic")
    except (httpx.HTTPError, ValueError):
        return {}  # its readiness reports the silence
