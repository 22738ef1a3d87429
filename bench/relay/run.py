"""The run: every candidate in turn, alone with the servers, every measurement attempted whatever the others did."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import psycopg
from confluent_kafka import KafkaException

from bench.relay.candidate import Candidate
from bench.relay.candidates.ceiling import Ceiling
from bench.relay.drain import Drain, measure_drain
from bench.relay.latency import Latency, Trial, measure_latency
from bench.relay.results import Measured
from bench.relay.servers import Servers
from shared.clock import Clock
from shared.errors import ExitflowError

FAILURES = (ExitflowError, psycopg.Error, KafkaException, OSError, subprocess.SubprocessError)
Found = TypeVar("Found", Drain, Latency)
LEAST_EVENTS = 1_000
WARM_UP_SHARE = 0.2
"""Of a backlog, carried before latency is measured."""


@dataclass(frozen=True)
class Plan:
    """How much to measure.

    Attributes
    ----------
    events:
        Of a backlog; a slow candidate gets its share of them.
    rate_per_s, latency_s, lead_in_s:
        Of the latency measurements; events of the lead-in are not counted.
    warm_ups:
        How many backlogs are produced before anybody is measured.
    """

    events: int
    rounds: int = 1
    rate_per_s: float = 1_000
    latency_s: float = 8
    lead_in_s: float = 2
    warm_ups: int = 6


class Run:
    """One run on running servers."""

    def __init__(self, plan: Plan, servers: Servers, clock: Clock, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._servers = servers
        self._clock = clock
        self._say = say

    def warm_up(self) -> None:
        """Produce as much as a measurement will: every candidate meets a broker with compiled code."""
        for _ in range(self._plan.warm_ups):
            drain = measure_drain(Ceiling("warm-up"), self._servers, self._clock, self._plan.events, held=False)
            self._say(f"warm-up: {drain.steady_per_s:,.0f}/s")

    def measure(self, candidate: Candidate, into: Measured, turn: int) -> None:
        """Measure one round of a candidate; alternate rounds begin with the old transaction, to balance the order."""
        events = max(LEAST_EVENTS, int(self._plan.events * candidate.share))
        order = (False, True) if turn % 2 == 0 else (True, False)
        drains = {
            held: self._measure_drain(candidate, into, events, held=held)
            for held in (order if candidate.has_outbox else (False,))
        }
        if candidate.has_outbox:
            self._measure_latencies(candidate, into, events, drains[False])

    def _measure_drain(self, candidate: Candidate, into: Measured, events: int, *, held: bool) -> Drain | None:
        what = "drain under an old transaction" if held else "drain"
        drain = self._attempt(into, what, lambda: self._drain(candidate, events, held=held))
        if drain is not None:
            (into.held if held else into.drain).append(drain)
        return drain

    def _measure_latencies(self, candidate: Candidate, into: Measured, events: int, drain: Drain | None) -> None:
        rate = self._plan.rate_per_s
        steady = self._attempt(into, f"latency at {rate:,.0f}/s", lambda: self._latency(candidate, events, rate))
        if steady is not None:
            into.steady_latency.append(steady)
        if drain is None:
            return
        half = drain.steady_per_s / 2
        loaded = self._attempt(into, f"latency at {half:,.0f}/s", lambda: self._latency(candidate, events, half))
        if loaded is not None:
            into.half_latency.append(loaded)

    def _attempt(self, into: Measured, what: str, measure: Callable[[], Found]) -> Found | None:
        began = self._clock.monotonic()
        try:
            found = measure()
        except FAILURES as error:
            into.errors.append(f"{what}: {type(error).__name__}: {str(error).strip()[:600]}")
            self._say(f"{into.name}: {into.errors[-1]}")
            return None
        self._say(f"{into.name}: {what}: {_brief(found)} ({self._clock.monotonic() - began:.0f} s)")
        return found

    def _drain(self, candidate: Candidate, events: int, *, held: bool) -> Drain:
        return measure_drain(candidate, self._servers, self._clock, events, held=held)

    def _latency(self, candidate: Candidate, events: int, rate_per_s: float) -> Latency:
        trial = Trial(int(events * WARM_UP_SHARE), rate_per_s, self._plan.latency_s, self._plan.lead_in_s)
        return measure_latency(candidate, self._servers, self._clock, trial)


def in_order(candidates: Sequence[Candidate], turn: int) -> list[Candidate]:
    """Return the order of a round: reversed every other time to cancel drift, ceilings in place."""
    ceilings = [candidate for candidate in candidates if not candidate.has_outbox]
    others = [candidate for candidate in candidates if candidate.has_outbox]
    return [*ceilings[:1], *(others if turn % 2 == 0 else others[::-1]), *ceilings[1:]]


def _brief(found: Drain | Latency) -> str:
    if isinstance(found, Drain):
        return f"{found.steady_per_s:,.0f}/s, lost {found.lost}, twice {found.duplicates}, disorder {found.disorder}"
    return f"p50 {found.p50_ms:,.1f} ms, p99 {found.p99_ms:,.1f} ms{', behind' if found.behind else ''}"
