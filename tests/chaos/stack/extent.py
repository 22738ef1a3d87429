"""Length and seed of the disturbance of a whole stack, from the environment of `make chaos`."""

from __future__ import annotations

import os

IS_CHAOS = bool(os.environ.get("CHAOS_STACK"))
"""True if the long form was asked for."""

DURATION_S = float(os.environ.get("CHAOS_DURATION_S") or (600 if IS_CHAOS else 6))
"""How long faults go on."""

SEED = int(os.environ.get("CHAOS_SEED") or 20260113)
"""The schedule of faults and the clients' choices are drawn from it: the same seed, the same schedule."""

KINDS = tuple(filter(None, os.environ.get("CHAOS_KINDS", "").split(",")))
"""The only kinds of fault to use; all of them if empty."""

DISK_MEGABYTES = 2048
READY_LIMIT_S = 120 if IS_CHAOS else 240
"""Every process is ready so long after the last fault; the short form, next to other tests, has more time."""

STANDSTILL_S = 90
"""Trades open for so long without any closure do not exit; the order budget alone takes minutes."""

DRAIN_LIMIT_S = 240 + DURATION_S
"""Trades opened by clients meanwhile have exited by then, at the pace of the order budget."""
