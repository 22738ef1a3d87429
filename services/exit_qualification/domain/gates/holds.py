"""Ended holds: which gates deferred an exit before it went on, kept in its row beside their verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from services.exit_qualification.domain.gates.gate import GateVerdict, Verdict

Stored = Mapping[str, Any]
"""Verdict in the format of the intent's row; `held` is an ended hold: until when, and the gate's input before."""


def with_holds(verdicts: Sequence[GateVerdict], before: Iterable[Stored], now: datetime) -> list[dict[str, object]]:
    """Return verdicts in the format of the row, with the holds of earlier ones; those that deferred end now."""
    ended = {gate["gate"]: _hold(gate, now) for gate in before if has_deferred(gate)}
    if not ended:
        return [verdict.json() for verdict in verdicts]
    return [_with_hold(verdict, ended.get(verdict.gate)) for verdict in verdicts]


def has_deferred(gate: Stored) -> bool:
    """Return whether a gate holds the exit or held it before."""
    return "held" in gate or gate["verdict"] == Verdict.DEFER


def ended_holds(gates: Iterable[Stored]) -> dict[str, list[str]]:
    """Return the gates that held the exit for a time, by the end of it in ISO 8601."""
    ended: dict[str, list[str]] = {}
    for gate in gates:
        if "held" in gate:
            ended.setdefault(gate["held"]["until"], []).append(gate["gate"])
    return ended


def _hold(gate: Stored, now: datetime) -> object:
    return gate["held"] if "held" in gate else {"until": now.isoformat(), "detail": gate["detail"]}


def _with_hold(verdict: GateVerdict, hold: object | None) -> dict[str, object]:
    stored = verdict.json()
    return stored if hold is None or verdict.verdict is Verdict.DEFER else {**stored, "held": hold}
