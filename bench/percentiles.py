"""Percentiles of measured times."""

from __future__ import annotations

from collections.abc import Sequence


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the value above such a share of sorted values, at least one: with 0.99 of 300, the third largest."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
