"""All measurements, one after the other on one system."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.orders.bare_chain import measure_bare_chain
from bench.orders.closes import close_many
from bench.orders.exits import ExitRuns, Exits
from bench.orders.load import open_trades, trade
from bench.orders.results import Figure, cpu_text
from bench.orders.system import System
from bench.orders.usage import measured
from shared.errors import ExitflowError, first_line

PARTS = ("openings", "steady", "bare", "burst", "steady-after", "closes", "idle")


@dataclass(frozen=True)
class Plan:
    """Sizes of the measurements; `warm_up` exits go before steady ones: statements are planned, and Kafka compiles."""

    accounts: int = 100
    rate_per_s: float = 20
    warm_up: int = 100
    steady: int = 400
    burst: int = 1000
    openings: int = 4000
    closes: int = 10_000
    idle_s: float = 20
    most_rest_s: float = 120


SMOKE = Plan(
    accounts=2, rate_per_s=20, warm_up=2, steady=6, burst=10, openings=16, closes=50, idle_s=0.5, most_rest_s=0.5
)


def figures(
    system: System, plan: Plan, parts: tuple[str, ...], say: Callable[[str], None]
) -> tuple[list[Figure], bool]:
    """Return the figures of the wanted parts, in order, and whether all were measured.

    A failed part becomes a row with the reason, and the next part goes on.
    """
    runs = ExitRuns(system)
    work: dict[str, Callable[[], Iterator[Figure]]] = {
        "openings": lambda: _openings(system, plan),
        "steady": lambda: _steady(runs, plan, "steady exits"),
        "bare": lambda: _bare(system, plan),
        "burst": lambda: _burst(runs, plan),
        "steady-after": lambda: _steady(runs, plan, "steady exits, after the others ended"),
        "closes": lambda: _closes(system, plan),
        "idle": lambda: _idle(system, plan),
    }
    found, complete = list[Figure](), True
    for part in parts:
        try:
            for figure in work[part]():
                say(f"{figure.name}: {figure.value}; CPU ms {figure.cpu_ms}")
                found.append(figure)
        except (ExitflowError, OSError) as error:
            say(f"{part}: {error}")
            found.append(Figure(part, f"not measured: {first_line(error)}", "", ""))
            complete = False
    return found, complete


def _openings(system: System, plan: Plan) -> Iterator[Figure]:
    for connections in (8, 16):
        bodies = [trade("NSE:BENCHOPEN", system.accounts[0]) for _ in range(plan.openings // 2)]
        with measured(system) as usage:
            ids, seconds = open_trades(system.trade_api, system.token, bodies, connections)
        goal = "≥ 1,000/s" if connections == 16 else ""
        rate = f"{len(ids) / seconds:,.0f}/s"
        yield Figure(f"POST /trades, {connections} connections", rate, goal, cpu_text(usage, len(ids)))


def _steady(runs: ExitRuns, plan: Plan, name: str) -> Iterator[Figure]:
    runs.steady(plan.rate_per_s, plan.warm_up)
    found = runs.steady(plan.rate_per_s, plan.steady)
    goal = "p50 ≤ 25 ms, p99 ≤ 75 ms"
    yield Figure(f"{name}, {plan.rate_per_s:.0f}/s", _latencies(found), goal, cpu_text(found.usage, found.count))
    hops = ", ".join(f"{end} {milliseconds:.1f}" for end, milliseconds in found.hops_ms.items())
    yield Figure("medians of their hops, from the tick", f"{hops} ms", "", "")
    calls = ", ".join(f"{call} {milliseconds:.1f}" for call, milliseconds in found.broker_ms.items())
    yield Figure("means of their calls to the broker", f"{calls} ms", "the goals suppose 1 ms", "")


def _bare(system: System, plan: Plan) -> Iterator[Figure]:
    found = measure_bare_chain(system, plan.rate_per_s, plan.steady)
    value = f"p50 {found.p50_ms:,.1f} ms, p99 {found.p99_ms:,.1f} ms"
    yield Figure(f"a bare chain of its steps, {plan.rate_per_s:.0f}/s", value, "", "")


def _burst(runs: ExitRuns, plan: Plan) -> Iterator[Figure]:
    found = runs.burst(plan.burst)
    name = f"{found.count:,} exits of one tick, {plan.accounts} accounts"
    yield Figure(name, f"all closed in {found.last_ms / 1000:.2f} s", "≤ 5 s", cpu_text(found.usage, found.count))


def _latencies(found: Exits) -> str:
    return f"p50 {found.p50_ms:,.0f} ms, p99 {found.p99_ms:,.0f} ms"


def _closes(system: System, plan: Plan) -> Iterator[Figure]:
    found = close_many(system, plan.closes)
    yield Figure("trade-fills", f"{found.per_s:,.0f} closes/s", "≥ 5,000/s", cpu_text(found.usage, found.count))


def _idle(system: System, plan: Plan) -> Iterator[Figure]:
    """Measure twice: for two minutes exit-orders often looks for late fills of the exits that ended last."""
    for name, goal, rest_s in (("idle, just after exits", "", 5.0), ("idle, two minutes later", "≤ 5 %", 120.0)):
        threading.Event().wait(min(rest_s, plan.most_rest_s))
        with measured(system) as usage:
            threading.Event().wait(plan.idle_s)
        shares = sorted(((cpu / usage.wall_s, process) for process, cpu in usage.cpu_s.items()), reverse=True)
        text = ", ".join(f"{process} {100 * share:.1f} %" for share, process in shares[:6])
        yield Figure(name, f"{100 * usage.total_s / usage.wall_s:.1f} % of a core", goal, text)
