"""Exits as commands print them."""

from __future__ import annotations

from services.cli.support.api_client import Json
from services.cli.support.output import show_facts, show_json, show_table

_GATE_COLUMNS = ("gate", "verdict", "detail")


def show_intent(intent: Json, as_json: bool) -> None:
    """Show one exit with the verdict of every gate."""
    if as_json:
        show_json(intent)
        return
    show_facts((name, value) for name, value in intent.items() if name != "gates")
    gates = intent.get("gates") or []
    show_table(_GATE_COLUMNS, ([gate.get(column) for column in _GATE_COLUMNS] for gate in gates), title="gates")
