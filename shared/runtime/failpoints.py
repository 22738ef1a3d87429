"""Named points where a test makes a process die, raise, stop or stall. Off, one costs a look into an empty dict.

``EXITFLOW_FAILPOINTS=relay.after_ack=kill,ticks.before_commit=raise@3`` arms two: the first time the relay
gets there it kills itself, the third time a tick worker gets there it raises. ``stop`` halts the whole process
until somebody sends it SIGCONT. ``stall`` keeps its thread for 60 s, ``stall:2.5`` for 2.5 s, while its other
threads go on. Arming is refused unless ``EXITFLOW_TESTING=1``.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass
from enum import StrEnum

from shared.errors import ConfigurationError, ExitflowError

STALL_S = 60.0
"""Length of a ``stall`` without a number."""

ACTIONS = ("kill", "raise", "stop", "stall")


class Failpoint(StrEnum):
    """Every point there is."""

    TICKS_AFTER_SIGNALS = "ticks.after_signals"
    TICKS_BEFORE_COMMIT = "ticks.before_commit"
    TICKS_AFTER_COMMIT = "ticks.after_commit"
    TICKS_ON_REVOKE = "ticks.on_revoke"
    RELAY_AFTER_LEASE = "relay.after_lease"
    RELAY_AFTER_READ = "relay.after_read"
    RELAY_AFTER_PRODUCE = "relay.after_produce"
    RELAY_MID_BATCH = "relay.mid_batch"
    RELAY_AFTER_ACK = "relay.after_ack"
    RELAY_AFTER_CHECKPOINT = "relay.after_checkpoint"
    RELAY_BEFORE_PARK_COMMIT = "relay.before_park_commit"
    RELAY_AFTER_REPLAY_ACK = "relay.after_replay_ack"
    ORDERS_AFTER_SUBMITTING = "orders.after_submitting"
    ORDERS_AFTER_CALL = "orders.after_call"
    ORDERS_BETWEEN_FETCH_AND_APPLY = "orders.between_fetch_and_apply"
    TRADES_AFTER_CLOSURE = "trades.after_closure"
    TRADES_AFTER_COMMIT = "trades.after_commit"
    API_BEFORE_COMMIT = "api.before_commit"
    API_AFTER_COMMIT = "api.after_commit"


class FailpointHit(ExitflowError):
    """Raised by an armed failpoint of action ``raise``."""

    code = "failpoint"
    retryable = True


@dataclass
class _Armed:
    action: str
    countdown: int
    stall_s: float


_armed: dict[Failpoint, _Armed] = {}


def arm(point: Failpoint, action: str, on_hit: int = 1, stall_s: float = STALL_S) -> None:
    """Make `point` do one of `ACTIONS` the `on_hit`-th time it is reached, once."""
    if os.environ.get("EXITFLOW_TESTING") != "1":
        raise ConfigurationError("failpoints are refused outside tests (EXITFLOW_TESTING=1)")
    if action not in ACTIONS:
        raise ConfigurationError(f"unknown failpoint action {action!r}: {', '.join(ACTIONS)}")
    _armed[point] = _Armed(action, on_hit, stall_s)


def disarm_all() -> None:
    """Forget every armed point."""
    _armed.clear()


def arm_from_environment() -> None:
    """Arm the failpoints of ``EXITFLOW_FAILPOINTS``; called once at the start of every process."""
    for item in filter(None, os.environ.get("EXITFLOW_FAILPOINTS", "").split(",")):
        name, _, rest = item.partition("=")
        what, _, count = rest.partition("@")
        action, _, stall_s = what.partition(":")
        try:
            arm(Failpoint(name.strip()), action, int(count or 1), float(stall_s or STALL_S))
        except ValueError as error:
            raise ConfigurationError(f"bad EXITFLOW_FAILPOINTS item {item!r}: {error}") from error


def failpoint(point: Failpoint) -> None:
    """Run the armed action of `point`, if any."""
    if _armed:
        _hit(point)


def _hit(point: Failpoint) -> None:
    armed = _armed.get(point)
    if armed is None:
        return
    armed.countdown -= 1
    if armed.countdown > 0:
        return
    del _armed[point]
    if armed.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if armed.action == "stop":
        # Of several threads, os.kill lets another one take the signal: this one would go on until it did.
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
    if armed.action == "stall":
        time.sleep(armed.stall_s)
    if armed.action == "raise":
        raise FailpointHit(f"failpoint {point.value}")
