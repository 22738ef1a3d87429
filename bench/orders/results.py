"""Figures of a run as a table of Markdown, and the page under docs/benchmarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.conditions import command
from bench.orders.usage import Usage

_HEAD = """# Orders and closures, measured

Written by `{command}`; [README](README.md#closures-and-openings-ordersmd) explains the figures. It starts a
local stack in a temporary folder, with {accounts} accounts at the paper broker, and measures from outside. Measure on a
quiet machine: wall times of a busy one say nothing.

"""


@dataclass(frozen=True)
class Figure:
    """One row: a measurement, its value, the goal, and the CPU milliseconds of one unit by process."""

    name: str
    value: str
    goal: str
    cpu_ms: str


def cpu_text(usage: Usage, units: int) -> str:
    """Return the CPU milliseconds of one unit: the sum, then the largest by process; below one, with two decimals."""
    per = sorted(usage.per(units).items(), key=lambda item: -item[1])
    total = sum(milliseconds for _, milliseconds in per)
    decimals = 1 if total >= 1 else 2
    shown = ", ".join(f"{name} {cpu_ms:.{decimals}f}" for name, cpu_ms in per[:6] if cpu_ms >= 0.5 / 10**decimals)
    return f"{total:.{decimals}f}: {shown}"


def markdown(figures: Sequence[Figure]) -> str:
    """Return the table."""
    rows = [f"| {one.name} | {one.value} | {one.goal} | {one.cpu_ms} |" for one in figures]
    head = [
        "| measurement | measured | goal | CPU ms a unit, all processes: the largest |",
        "| --- | --- | --- | --- |",
    ]
    return "\n".join([*head, *rows])


def page(figures: Sequence[Figure], conditions: Mapping[str, str], accounts: int, arguments: Sequence[str]) -> str:
    """Return the page."""
    head = _HEAD.format(command=command("bench.orders", arguments), accounts=accounts)
    known = "\n".join(f"| {name} | {value} |" for name, value in conditions.items())
    return f"{head}{markdown(figures)}\n\n## Conditions\n| what | which |\n| --- | --- |\n{known}\n"
