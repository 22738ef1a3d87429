"""The figures as a terminal shows them."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from services.top.figures import Figures
from services.top.observation import MOST_PENDING

RATES = {
    "ticks judged": "exit_ticks_evaluated",
    "exits detected": "exit_signals_detected",
    "exits rejected": "exit_intents_rejected",
    "orders placed": "exit_intents_placed",
    "exits filled": "exit_intents_filled",
    "exits failed": "exit_intents_failed",
    "trades closed": "trades_closed",
    "events published": "outbox_published",
}
LATENCIES = {
    "tick to intent": "exit_tick_to_intent_seconds",
    "placed to filled": "exit_time_to_fill_ms",
    "fill to close": "trade_fill_to_close_seconds",
    "row to Kafka": "outbox_publish_latency_seconds",
}


def render(figures: Figures) -> RenderableType:
    """Return the whole view, about 30 lines of at most 80 columns."""
    top = Table.grid(padding=(0, 4))
    top.add_row(_rates(figures), Group(_latencies(figures), Text(), _state(figures)))
    return Group(top, Text(), _processes(figures.processes))


def _rates(figures: Figures) -> Table:
    table = _table("", "per second", "since start")
    for name, counter in RATES.items():
        table.add_row(name, f"{figures.rates_per_s[counter]:,.1f}", f"{figures.totals[counter]:,.0f}")
    return table


def _latencies(figures: Figures) -> Table:
    table = _table("", "50 %", "99 %")
    for name, histogram in LATENCIES.items():
        found = figures.latencies_ms[histogram]
        table.add_row(name, *(("", "") if found is None else (f"{value:,.1f} ms" for value in found)))
    return table


def _state(figures: Figures) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_row("pending exits", _pending(figures))
    for topic, records in figures.lag_records.items():
        table.add_row(f"{topic} behind", f"{records:,.0f}")
    for outbox, values in figures.outboxes.items():
        text = f"{values['backlog']:,.0f} wait, oldest {values['oldest_s']:,.1f} s"
        bad = [f"{values[name]:,.0f} {word}" for name, word in _ALARMS.items() if values[name]]
        table.add_row(f"outbox {outbox}", Text.assemble(text, (", " + ", ".join(bad) if bad else "", "red")))
    if figures.waiting_for_rows:
        table.add_row("waiting for rows", f"{figures.waiting_for_rows:,.0f}")
    if figures.oldest_unknown_s:
        table.add_row("oldest UNKNOWN", Text(f"{figures.oldest_unknown_s:,.0f} s", "red"))
    return table


_ALARMS = {"parked": "parked", "shards_unheld": "shards without a relay"}


def _pending(figures: Figures) -> str:
    if figures.pending is None:
        return "exit-api does not say"
    if not figures.pending:
        return "0"
    total = f"{MOST_PENDING}+" if figures.pending_is_capped else str(sum(figures.pending.values()))
    return f"{total}: " + ", ".join(f"{count} {status}" for status, count in sorted(figures.pending.items()))


def _processes(processes: Mapping[str, str | None]) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, problem in processes.items():
        table.add_row(name, Text("ready", "green") if problem is None else Text(problem, "red", overflow="fold"))
    if not processes:
        table.add_row("no process is known; name them with --process NAME=URL")
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    return table
