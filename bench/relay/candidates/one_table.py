"""Common base of relays with a one-table outbox."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, LiteralString

import psycopg

from bench.relay.candidate import command
from bench.relay.peer_packages import PEERS, peer_python
from bench.relay.place import Place
from deploy.local.processes.child import Command


class OneTable:
    """A relay with its table; `schema` creates it, `backlog` fills it as in `Candidate.range_insert`."""

    has_outbox = True

    schema: LiteralString
    backlog: str

    def __init__(self, name: str, setting: str, share: float = 1.0) -> None:
        self.name = name
        self.setting = setting
        self.share = share

    def prepare(self, place: Place) -> None:
        """Create the table with its indexes."""
        with psycopg.connect(place.database_url) as connection:
            connection.execute(self.schema)

    def range_insert(self) -> str:
        """Return the insert of rows with all headers."""
        return self.backlog


class Peer(OneTable):
    """A library's relay: `peers/<program>_relay.py`, with separate packages."""

    program: str

    def prepare(self, place: Place) -> None:
        """Install the packages and create the library's table."""
        peer_python()
        super().prepare(place)

    def relay(self, place: Place, **told: Mapping[str, Any] | str) -> Command:
        """Return the program with its configuration as arguments."""
        where = {"database": place.database_url, "bootstrap": place.bootstrap_servers}
        argv = [str(peer_python()), str(PEERS / f"{self.program}_relay.py")]
        return command(place, self.program, argv, {"BENCH_PEER": json.dumps({**where, **told})})
