"""The page under docs/benchmarks."""

from __future__ import annotations

from collections.abc import Sequence

from bench.relay.figures import Figures
from bench.relay.results import Results
from bench.relay.tables import Table

_HEAD = """# Outbox relays, measured

Written by `{command}`; how it is measured stands in [README](README.md), every figure in [relay.json](relay.json).

![Drain rates and latencies](relay.svg)

"""


def page(results: Results, figures: Sequence[Figures], tables: Sequence[Table]) -> str:
    """Return the page as Markdown."""
    parts = [_HEAD.format(command=results.conditions.get("command", "make bench-relay"))]
    parts += [f"## {table.title}\n\n{_markdown(table)}\n\n" for table in tables]
    parts.append(_notes(results, figures))
    parts.append("## Conditions\n\n" + _markdown(_conditions(results)) + "\n")
    return "".join(parts)


def _markdown(table: Table) -> str:
    lines = [table.heads, ["---"] * len(table.heads), *table.rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _notes(results: Results, figures: Sequence[Figures]) -> str:
    """Return remarks and full failure texts."""
    notes = []
    if any(one.run != results.run for one in figures):
        notes.append("† measured in an earlier run: compare with care.")
    if any(one.cut or one.held_cut for one in figures):
        notes.append("(cut): ended after a minute; the rate is that of what was published by then.")
    if any(pace and pace.behind for one in figures for pace in (one.at_rate, one.at_half)):
        notes.append("(behind): the rate is more than it carries; the figures grow with the time measured.")
    notes += [f"`{one.name}`: {' '.join(error.split())}" for one in figures for error in one.errors]
    return "".join(f"- {note}\n" for note in notes) + ("\n" if notes else "")


def _conditions(results: Results) -> Table:
    return Table("Conditions", ["what", "which"], [list(item) for item in results.conditions.items()])
