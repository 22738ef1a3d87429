"""The page under docs/benchmarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
    "to_log_ms": "p50 to the log",
    "to_row_ms": "p50 to the row",
    "to_reader_ms": "p50 to the reader",
}
_HEAD = """# The tick worker, measured

Written by `{command}`. One run, one PostgreSQL and one Apache Kafka, 1,000 symbols, 12 partitions, lz4. How:
[README](README.md#the-tick-worker-ticksmd).

"""


@dataclass(frozen=True)
class Row:
    """One measurement: its name, the number of open trades, and its figures by name."""

    what: str
    trades: int
    figures: Mapping[str, float]


def page(rows: Sequence[Row], conditions: Mapping[str, str], arguments: Sequence[str]) -> str:
    """Return the page as Markdown."""
    used = [name for name in FIGURES if any(name in row.figures for row in rows)]
    lines = [["what", "open trades", *(FIGURES[name] for name in used)]]
    lines.append(["---"] * len(lines[0]))
    lines += [[row.what, f"{row.trades:,}", *(_shown(row.figures.get(name)) for name in used)] for row in rows]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    known = "\n".join(f"| {name} | {value} |" for name, value in conditions.items())
    head = _HEAD.format(command=" ".join(["python -m bench.ticks", *arguments]))
    return f"{head}{table}\n\n## Conditions\n| what | which |\n| --- | --- |\n{known}\n"


def _shown(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:,.2f}"
