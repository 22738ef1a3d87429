"""The faults of a run, with times and targets, drawn from a seed before it begins."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from shared.runtime.catalogue import PROCESSES

SERVICES = tuple(PROCESSES)
SERVERS = ("postgres", "kafka")
LONGEST_PEACE_S = 4.0
QUIET_END_S = 2.0


@dataclass(frozen=True)
class Fault:
    """One disturbance.

    Attributes
    ----------
    at_s, lasts_s:
        When it begins, in seconds from the start of the run, and how long it lasts; 0 for an instant fault.
    kind:
        A name of `KINDS`.
    target:
        A process, or empty where the kind needs none.
    dice:
        Seed of the fault's further random choices.
    """

    at_s: float
    kind: str
    target: str
    lasts_s: float
    dice: int

    def __str__(self) -> str:
        return f"{self.at_s:7.2f} s {self.kind} {self.target} {self.lasts_s:.1f} s".rstrip()


@dataclass(frozen=True)
class Kind:
    """How often a kind of fault is drawn beside the others, whom it hits, and for how long."""

    weight: int
    targets: tuple[str, ...] = ("",)
    shortest_s: float = 0
    longest_s: float = 0


KINDS = {
    "kill": Kind(10, (*SERVICES, *SERVERS)),
    "end": Kind(6, SERVICES),
    "freeze": Kind(10, (*SERVICES, *SERVERS), 1, 16),
    "freeze_postmaster": Kind(2, ("postgres",), 1, 10),
    "kill_backend": Kind(2, ("postgres",)),
    "terminate_backends": Kind(5),
    "lock_rows": Kind(5, ("trades", "open_trades", "exit_intents", "outbox_sequence"), 1, 15),
    "leave_transaction_open": Kind(3, ("exit_qualification", "trade_management"), 2, 20),
    "use_up_connections": Kind(3, ("",), 2, 8),
    "fill_disk": Kind(4, ("",), 2, 6),
    "shift_stamps": Kind(4, ("",), 2, 10),
    "throw_records": Kind(5, ("market.ticks.v1", "trades.v1", "exits.intents.v1")),
}


def draw_schedule(seed: int, duration_s: float, kinds: Sequence[str]) -> list[Fault]:
    """Return the faults of a run in the order of their start; they may overlap, and all end within the duration."""
    dice = random.Random(seed)
    weights = [KINDS[kind].weight for kind in kinds]
    faults: list[Fault] = []
    at_s = dice.uniform(0, 1)
    while at_s < duration_s - QUIET_END_S:
        name = dice.choices(kinds, weights)[0]
        kind = KINDS[name]
        lasts_s = min(dice.uniform(kind.shortest_s, kind.longest_s), duration_s - at_s)
        faults.append(Fault(at_s, name, dice.choice(kind.targets), lasts_s, dice.getrandbits(32)))
        at_s += dice.uniform(0.2, LONGEST_PEACE_S)
    return faults
