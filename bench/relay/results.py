"""Results file; a later run of some candidates adds to it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.relay.drain import Drain
from bench.relay.latency import Latency


@dataclass
class Measured:
    """One candidate's measurements, one of each kind a round.

    Attributes
    ----------
    run:
        A run of the bench; figures of different runs do not compare well.
    drain, held:
        Drains without and with an old transaction open.
    steady_latency, half_latency:
        At 1,000 events a second, and at half of the drain rate of the same round.
    errors:
        Failed measurements, and why.
    """

    name: str
    setting: str
    run: int
    drain: list[Drain] = field(default_factory=list)
    held: list[Drain] = field(default_factory=list)
    steady_latency: list[Latency] = field(default_factory=list)
    half_latency: list[Latency] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@dataclass
class Results:
    """All candidates, and the conditions of the last run."""

    run: int = 0
    conditions: dict[str, str] = field(default_factory=dict)
    measured: dict[str, Measured] = field(default_factory=dict)


def load(file: Path) -> Results:
    """Load earlier results; empty without a file."""
    if not file.exists():
        return Results()
    kept = json.loads(file.read_text())
    measured = {name: _measured(name, entry) for name, entry in kept["candidates"].items()}
    return Results(kept["run"], kept["conditions"], measured)


def save(file: Path, results: Results) -> None:
    """Replace the file."""
    candidates = {name: _entry(measured) for name, measured in results.measured.items()}
    kept = {"run": results.run, "conditions": results.conditions, "candidates": candidates}
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".part")
    unfinished.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n")
    unfinished.replace(file)


def _entry(measured: Measured) -> dict[str, Any]:
    entry = asdict(measured)
    del entry["name"]
    return {key: _rounded(value) for key, value in entry.items()}


def _measured(name: str, entry: dict[str, Any]) -> Measured:
    return Measured(
        name=name,
        setting=entry["setting"],
        run=entry["run"],
        drain=[Drain(**one) for one in entry["drain"]],
        held=[Drain(**one) for one in entry["held"]],
        steady_latency=[Latency(**one) for one in entry["steady_latency"]],
        half_latency=[Latency(**one) for one in entry["half_latency"]],
        errors=entry["errors"],
    )


def _rounded(value: Any) -> Any:
    """Three decimals: more is noise."""
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    return [_rounded(inner) for inner in value] if isinstance(value, list) else value
