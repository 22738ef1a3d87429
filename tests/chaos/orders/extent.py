"""Number of trades and the seed, from the environment of `make chaos-orders`."""

from __future__ import annotations

import os

from shared.settings import Execution

IS_CHAOS = bool(os.environ.get("CHAOS_ORDERS"))
"""Whether the long form was asked for."""

TRADES = int(os.environ.get("CHAOS_TRADES") or (1500 if IS_CHAOS else 12))
"""How many trades exit."""

EXECUTIONS = [Execution(name) for name in os.environ.get("CHAOS_EXECUTION", "").split()] or [
    *(Execution if not IS_CHAOS else [Execution.EXIT_QUALIFICATION])
]
"""Who has exits executed: each in the short form, by default exit qualification in the long one."""

SEED = int(os.environ.get("CHAOS_SEED") or 20260113)
"""Seed of all random choices of the schedule; the same seed makes the same trades, faults and orders by hand."""
