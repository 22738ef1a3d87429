"""Figures of a run as a table of Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.orders.usage import Usage


@dataclass(frozen=True)
class Figure:
    """One row: a measurement, its value, the goal, and the CPU milliseconds that one unit took by process."""

    name: str
    value: str
    goal: str
    cpu_ms: str


def cpu_text(usage: Usage, units: int) -> str:
    """Return the CPU milliseconds of one unit: the sum, then the processes that took most."""
    per = sorted(usage.per(units).items(), key=lambda item: -item[1])
    shown = ", ".join(f"{name} {milliseconds:.1f}" for name, milliseconds in per[:6] if milliseconds >= 0.05)
    return f"{sum(milliseconds for _, milliseconds in per):.1f}: {shown}"


def markdown(figures: Sequence[Figure]) -> str:
    """Return the table."""
    rows = [f"| {one.name} | {one.value} | {one.goal} | {one.cpu_ms} |" for one in figures]
    head = [
        "| measurement | measured | goal | CPU ms a unit, all processes: the largest |",
        "| --- | --- | --- | --- |",
    ]
    return "\n".join([*head, *rows])
