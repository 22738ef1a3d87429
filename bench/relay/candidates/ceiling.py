"""The ceiling: a bare produce loop of the same records, made beforehand. It reads no database."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from bench.relay.candidate import Insert, command
from bench.relay.place import Place
from deploy.local.processes.child import Command
from shared.errors import InvalidInput


class Ceiling:
    """`bench.relay.produce_loop`."""

    share = 1.0
    has_outbox = False
    setting = "bare produce loop, no database"

    def __init__(self, name: str) -> None:
        self.name = name

    def prepare(self, place: Place) -> None:
        """Do nothing: it has no database."""

    def range_insert(self) -> str:
        """Raise: it has no outbox."""
        raise InvalidInput(f"{self.name} has no outbox")

    def one_insert(self, place: Place, number: int) -> Insert:
        """Raise: it has no outbox."""
        raise InvalidInput(f"{self.name} of {place.name} has no outbox for event {number}")

    def programs(self, place: Place, events: int) -> Sequence[Command]:
        """Return the loop; it ends by itself."""
        given = {"bootstrap": place.bootstrap_servers, "topic": place.topic, "events": events}
        argv = [sys.executable, "-m", "bench.relay.produce_loop"]
        return [command(place, "loop", argv, {"BENCH_LOOP": json.dumps(given)})]
