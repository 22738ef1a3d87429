"""Length and seed of a run, from the environment of `make chaos-relay`."""

from __future__ import annotations

import os

IS_CHAOS = bool(os.environ.get("CHAOS_RELAY"))
"""Whether the long forms were asked for."""

DURATION_S = float(os.environ.get("CHAOS_DURATION_S") or (180 if IS_CHAOS else 6))
"""How long the torture goes on."""

SEED = int(os.environ.get("CHAOS_SEED") or 20260113)
"""Seed of all random choices; the same seed makes the same faults and the same writers."""

OUTAGE_S = float(os.environ.get("CHAOS_OUTAGE_S") or (150 if IS_CHAOS else 3))
"""How long Kafka is away in the test of its outage."""

MAX_IN_FLIGHT = int(os.environ.get("CHAOS_MAX_IN_FLIGHT") or 0)
"""Produce requests in flight in the test with new topics; 0 leaves the relay's own setting."""
