"""Goals of this project's relay, compared with one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.relay.catalogue import OURS, OURS_MANY
from bench.relay.figures import Figures, Yardsticks, ratio


@dataclass(frozen=True)
class Goal:
    """A figure and its bound; `at_least` False means at most."""

    text: str
    bound: float
    measured: float | None
    at_least: bool = True

    @property
    def met(self) -> bool | None:
        """Return whether it is met; None if not measured."""
        if self.measured is None:
            return None
        return self.measured >= self.bound if self.at_least else self.measured <= self.bound


def goals(figures: Sequence[Figures], against: Yardsticks) -> list[Goal]:
    """Return all goals; none if our relay was not measured."""
    named = {one.name: one for one in figures}
    ours, many = named.get(OURS), named.get(OURS_MANY)
    if ours is None:
        return []
    one = ours.steady_per_s
    best = max((rate for rate in (one, many.steady_per_s if many else None) if rate is not None), default=None)
    pace = ours.at_rate
    return [
        Goal("drain, one process, as a multiple of Debezium tuned", 2, ratio(one, against.debezium_per_s)),
        Goal("drain, one process, as a multiple of the poller", 5, ratio(one, against.poller_per_s)),
        Goal("drain, one process, as a part of the ceiling", 0.6, ratio(one, against.ceiling_per_s)),
        Goal("drain, the better of both, as a multiple of Debezium tuned", 3, ratio(best, against.debezium_per_s)),
        Goal("p50 at 1,000/s, ms", 3, pace.p50_ms if pace else None, at_least=False),
        Goal("p99 at 1,000/s, ms", 10, pace.p99_ms if pace else None, at_least=False),
        Goal("drain under an old transaction, as a part of without", 0.9, ratio(ours.held_per_s, one)),
        Goal("faults in the topics (0 = every event once and in order)", 0, _faulty(ours, many), at_least=False),
    ]


def _faulty(ours: Figures, many: Figures | None) -> float | None:
    faults = [one.faults for one in (ours, many) if one is not None and one.faults is not None]
    return float(sum(bool(fault) for fault in faults)) if faults else None
