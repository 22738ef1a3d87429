"""Who is measured, in the order of measuring."""

from __future__ import annotations

import os
from collections.abc import Sequence

from bench.relay.candidate import Candidate
from bench.relay.candidates.ceiling import Ceiling
from bench.relay.candidates.debezium import Debezium
from bench.relay.candidates.exitflow import Exitflow
from bench.relay.candidates.faststream import FaststreamOutbox
from bench.relay.candidates.poller import ClaimAndMarkPoller
from bench.relay.candidates.txoutbox import Txoutbox
from shared.errors import InvalidInput

CEILINGS = ("ceiling-before", "ceiling-after")
OURS = "exitflow"
OURS_MANY = "exitflow-many"
DEBEZIUM_TUNED = "debezium-tuned"
POLLER = "poller"
SMOKE = (CEILINGS[0], OURS, POLLER)


def catalogue() -> list[Candidate]:
    """Return all candidates; `exitflow-many` runs one process per core, at least two."""
    processes = max(2, os.cpu_count() or 2)
    return [
        Ceiling(CEILINGS[0]),
        Exitflow(OURS, 1),
        Exitflow(OURS_MANY, processes),
        Debezium(DEBEZIUM_TUNED, tuned=True),
        Debezium("debezium", tuned=False),
        ClaimAndMarkPoller(POLLER, 1),
        ClaimAndMarkPoller("poller-2", 2),
        Txoutbox("txoutbox-tuned", tuned=True),
        Txoutbox("txoutbox", tuned=False),
        FaststreamOutbox("faststream-outbox-tuned", tuned=True),
        FaststreamOutbox("faststream-outbox", tuned=False),
        Ceiling(CEILINGS[1]),
    ]


def chosen(names: Sequence[str]) -> list[Candidate]:
    """Return the named candidates in the catalogue's order; all if none is named.

    Raises
    ------
    InvalidInput
        An unknown name.
    """
    everyone = catalogue()
    known = {candidate.name for candidate in everyone}
    if unknown := sorted(set(names) - known):
        raise InvalidInput(f"no such candidate: {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    return [candidate for candidate in everyone if not names or candidate.name in names]
