"""The page under docs/benchmarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bench.conditions import command


class Part(StrEnum):
    """Measurements for separate runs, each with a separate table."""

    ALONE = "alone"
    DRAIN = "drain"
    START = "start"
    BURST = "burst"
    LATENCY = "latency"


TITLES = {
    Part.ALONE: "Evaluation alone",
    Part.DRAIN: "Kafka to verdict",
    Part.START: "Start with open trades",
    Part.BURST: "One tick exits all trades of its symbol",
    Part.LATENCY: "Single exits under a stream of ticks",
}
FIGURES = {
    "per_s": "ticks/s",
    "cpu_us": "CPU µs/tick",
    "load_us": "CPU µs/trade loaded",
    "of_bare": "of the bare loop",
    "start_s": "start s",
    "peak_mib": "peak MiB",
    "exits": "exits",
    "stored_s": "offsets stored after s",
    "first_s": "first s",
    "last_s": "last s",
    "worker_us": "worker CPU µs/exit",
    "relay_us": "relay CPU µs/exit",
    "postgres_us": "PostgreSQL CPU µs/exit",
    "kafka_us": "Kafka CPU µs/exit",
    "ticks_per_s": "sent ticks/s",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "to_log_ms": "p50 to the log, ms",
    "to_row_ms": "p50 to the row, ms",
    "to_reader_ms": "p50 to the reader, ms",
}
_HEAD = """# The tick worker, measured

Written by `{command}`. One run, one PostgreSQL and one Apache Kafka, 1,000 symbols, 12 partitions, lz4. How:
[README](README.md#the-tick-worker-ticksmd).

![Cost of a tick, pace, bursts and latency](ticks.svg)

"""


@dataclass(frozen=True)
class Row:
    """One measurement: its part, its name, the number of trades, and its figures by name."""

    part: Part
    what: str
    trades: int
    figures: Mapping[str, float]

    @property
    def is_ours(self) -> bool:
        """Return True unless another program or a bare loop was measured."""
        return not self.what.startswith(("naive", "nautilus", "bare", "echo"))


def page(rows: Sequence[Row], conditions: Mapping[str, str], arguments: Sequence[str]) -> str:
    """Return the page as Markdown, with a table for each part."""
    head = _HEAD.format(command=command("bench.ticks", arguments))
    parts = [(part, [row for row in rows if row.part is part]) for part in Part]
    tables = "\n\n".join(f"## {TITLES[part]}\n{_table(found)}" for part, found in parts if found)
    known = "\n".join(f"| {name} | {value} |" for name, value in conditions.items())
    return f"{head}{tables}\n\n## Conditions\n| what | which |\n| --- | --- |\n{known}\n"


def _table(rows: Sequence[Row]) -> str:
    used = [name for name in FIGURES if any(name in row.figures for row in rows)]
    lines = [["what", "trades", *(FIGURES[name] for name in used)]]
    lines.append(["---"] * len(lines[0]))
    lines += [[row.what, f"{row.trades:,}", *(_shown(row.figures.get(name)) for name in used)] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _shown(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:,.2f}"
