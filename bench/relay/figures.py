"""The figures of a candidate, the median over its rounds, as tables and plot show them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from bench.relay.catalogue import CEILINGS, DEBEZIUM_TUNED, POLLER, catalogue
from bench.relay.drain import Drain
from bench.relay.latency import Latency
from bench.relay.results import Measured, Results


@dataclass(frozen=True)
class Pace:
    """Latency at one rate, in milliseconds."""

    rate_per_s: float
    p50_ms: float
    p99_ms: float
    behind: bool


@dataclass(frozen=True)
class Figures:
    """One row; None where there is nothing to say or it failed."""

    name: str
    setting: str
    run: int
    events: int | None
    steady_per_s: float | None
    whole_per_s: float | None
    first_s: float | None
    held_per_s: float | None
    cut: bool
    held_cut: bool
    faults: str | None
    """How the topics were wrong, empty if they were right."""
    at_rate: Pace | None
    at_half: Pace | None
    cpu: dict[str, float]
    peak_bytes: float | None
    wal_bytes: float | None
    errors: Sequence[str]


@dataclass(frozen=True)
class Yardsticks:
    """Reference rates, in events a second."""

    debezium_per_s: float | None
    poller_per_s: float | None
    ceiling_per_s: float | None


def figures_of(results: Results) -> list[Figures]:
    """Return the figures of all measured candidates, in the catalogue's order."""
    order = [candidate.name for candidate in catalogue()]
    return [_figures(results.measured[name]) for name in order if name in results.measured]


def yardsticks(figures: Sequence[Figures]) -> Yardsticks:
    """Debezium tuned, the poller, and the mean of the ceilings before and after."""
    steady = {one.name: one.steady_per_s for one in figures}
    ceilings = [rate for name in CEILINGS if (rate := steady.get(name)) is not None]
    return Yardsticks(
        debezium_per_s=steady.get(DEBEZIUM_TUNED),
        poller_per_s=steady.get(POLLER),
        ceiling_per_s=sum(ceilings) / len(ceilings) if ceilings else None,
    )


def ratio(value: float | None, to: float | None) -> float | None:
    """Return `value` as a multiple of `to`, if both exist."""
    return value / to if value is not None and to else None


def short(value: float) -> str:
    """Three digits, as more is noise, and no exponent: 0.00347, 12.4, 1,230, 98,700."""
    return f"{float(f'{value:.3g}'):,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _figures(measured: Measured) -> Figures:
    drains = measured.drain
    return Figures(
        name=measured.name,
        setting=measured.setting,
        run=measured.run,
        events=drains[0].events if drains else None,
        steady_per_s=_median(drains, lambda drain: drain.steady_per_s),
        whole_per_s=_median(drains, lambda drain: drain.whole_per_s),
        first_s=_median(drains, lambda drain: drain.first_s),
        held_per_s=_median(measured.held, lambda drain: drain.steady_per_s),
        cut=any(drain.cut for drain in drains),
        held_cut=any(drain.cut for drain in measured.held),
        faults=_faults([*drains, *measured.held]),
        at_rate=_pace(measured.steady_latency),
        at_half=_pace(measured.half_latency),
        cpu={name: median(drain.cpu[name] for drain in drains) for name in (drains[0].cpu if drains else {})},
        peak_bytes=_median(drains, lambda drain: drain.peak_bytes),
        wal_bytes=_median([one for one in drains if one.wal_bytes is not None], lambda drain: drain.wal_bytes or 0.0),
        errors=measured.errors,
    )


def _median(drains: Sequence[Drain], value: Callable[[Drain], float]) -> float | None:
    return median(map(value, drains)) if drains else None


def _faults(drains: Sequence[Drain]) -> str | None:
    if not drains:
        return None
    counts = {
        "lost": sum(drain.lost for drain in drains),
        "twice": sum(drain.duplicates for drain in drains),
        "out of order": sum(drain.disorder for drain in drains),
        "foreign": sum(drain.foreign for drain in drains),
    }
    return ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)


def _pace(latencies: Sequence[Latency]) -> Pace | None:
    if not latencies:
        return None
    return Pace(
        rate_per_s=median(one.asked_per_s for one in latencies),
        p50_ms=median(one.p50_ms for one in latencies),
        p99_ms=median(one.p99_ms for one in latencies),
        behind=any(one.behind for one in latencies),
    )
