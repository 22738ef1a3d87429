"""Figures of two observations: rates between them, and the state at the second one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from services.top.observation import COUNTERS, HISTOGRAMS, MOST_PENDING, Observation
from shared.runtime.metric_samples import MetricSamples


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of the view.

    Attributes
    ----------
    rates_per_s, totals:
        By counter of `COUNTERS`.
    latencies_ms:
        50th and 99th percentile of the events between the observations, else since the start; by histogram. None
        without any. A percentile beyond the last bucket is the bound of the last bucket.
    pending:
        Exits by status; `pending_is_capped` if there may be more.
    lag_records:
        By topic.
    outboxes:
        By outbox: backlog, age of the oldest event, parked events, shards without a relay.
    processes:
        Problem of each process by name; None if it is ready.
    """

    rates_per_s: Mapping[str, float]
    totals: Mapping[str, float]
    latencies_ms: Mapping[str, tuple[float, float] | None]
    pending: Mapping[str, int] | None
    pending_is_capped: bool
    lag_records: Mapping[str, float]
    outboxes: Mapping[str, Mapping[str, float]]
    waiting_for_rows: float
    oldest_unknown_s: float
    processes: Mapping[str, str | None]


OUTBOX_GAUGES = {
    "backlog": "outbox_backlog_events",
    "oldest_s": "outbox_oldest_unpublished_age_seconds",
    "parked": "outbox_parked_events",
    "shards_unheld": "outbox_shards_unheld",
}


def figures(before: Observation, after: Observation) -> Figures:
    """Return the figures; for a counter back at a lower value, as after a restart, the new value is the increase."""
    elapsed_s = max(after.at_s - before.at_s, 0.001)
    totals = {name: after.samples.total(f"{name}_total") for name in COUNTERS}
    was = {name: before.samples.total(f"{name}_total") for name in COUNTERS}
    outboxes = {
        figure: after.samples.by(metric, "outbox", max) for figure, metric in OUTBOX_GAUGES.items()
    }  # each relay measures the whole outbox
    named = sorted({outbox for values in outboxes.values() for outbox in values})
    return Figures(
        rates_per_s={name: _added(was[name], totals[name]) / elapsed_s for name in COUNTERS},
        totals=totals,
        latencies_ms={name: _percentiles(name, unit, before, after) for name, unit in HISTOGRAMS.items()},
        pending=after.pending,
        pending_is_capped=sum((after.pending or {}).values()) >= MOST_PENDING,
        lag_records=after.samples.by("consumer_lag_records", "topic"),
        outboxes={outbox: {figure: values.get(outbox, 0.0) for figure, values in outboxes.items()} for outbox in named},
        waiting_for_rows=after.samples.total("waiting_work"),
        oldest_unknown_s=after.samples.highest("exit_orders_oldest_unknown_seconds"),
        processes={each.name: each.problem for each in after.processes},
    )


def _added(before: float, after: float) -> float:
    return after - before if after >= before else after


def _percentiles(name: str, to_ms: float, before: Observation, after: Observation) -> tuple[float, float] | None:
    new = _buckets(after.samples, name)
    old = _buckets(before.samples, name)
    added = {bound: _added(old.get(bound, 0.0), count) for bound, count in new.items()}
    counts = added if added.get(math.inf) else new
    if not counts.get(math.inf):
        return None
    return quantile(counts, 0.5) * to_ms, quantile(counts, 0.99) * to_ms


def _buckets(samples: MetricSamples, name: str) -> dict[float, float]:
    """Return the cumulative counts by upper bound."""
    return {float(bound): count for bound, count in samples.by(f"{name}_bucket", "le").items()}


def quantile(counts: Mapping[float, float], share: float) -> float:
    """Return a quantile of a histogram as Prometheus does: straight lines within a bucket.

    Parameters
    ----------
    counts:
        Cumulative counts by upper bound, with at least one observation.
    """
    wanted = share * counts[math.inf]
    lower, below = 0.0, 0.0
    for bound in sorted(counts):
        count = counts[bound]
        if count >= wanted and count > below:
            return lower if bound == math.inf else lower + (bound - lower) * (wanted - below) / (count - below)
        lower, below = (bound if bound != math.inf else lower), count
    return lower
