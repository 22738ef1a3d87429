"""Parking's statements: how rows are found, and the content of a parked row."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from services.outbox_relay.database.connection import Connection, connect
from services.outbox_relay.parking import statements
from shared.ids import new_id
from shared.settings import Settings
from tests.integration.outbox_relay.parking.operator import Operator
from tests.integration.outbox_relay.parking.parked_rows import PARK

ALL = list(range(64))


@pytest.fixture
def connection(exit_relay: Settings) -> Iterator[Connection]:
    """A connection as the relay has it."""
    with closing(connect(exit_relay.require_exit_database(), "exit_qualification")) as opened:
        yield opened


def put(connection: Connection, key: str, sequence: int, request: str | None = None) -> str:
    """A parked event."""
    event_id = str(new_id())
    connection.execute(PARK, (event_id, key, sequence, "t", key, sequence, "because", request))
    return event_id


def park(connection: Connection, *rows: tuple[str, int, bool]) -> None:
    """Park events of keys, with their sequence, and whether they were refused themselves."""
    connection.execute(
        statements.PARK,
        {
            "event_ids": [new_id() for _ in rows],
            "shards": [1] * len(rows),
            "ids": [sequence for _, sequence, _ in rows],
            "topics": ["t"] * len(rows),
            "keys": [key for key, _, _ in rows],
            "sequences": [sequence for _, sequence, _ in rows],
            "types": ["io.exitflow.Happened.v1"] * len(rows),
            "sources": ["/tests"] * len(rows),
            "subjects": ["s"] * len(rows),
            "times": ["2026-01-13T00:00:00Z"] * len(rows),
            "traceparents": ["00-a-b-01"] * len(rows),
            "signatures": ["key:signature"] * len(rows),
            "payloads": [b""] * len(rows),
            "reasons": ["because"] * len(rows),
            "refused": [refused for _, _, refused in rows],
        },
    )


def requests(operator: Operator) -> list[str | None]:
    """The request of each parked event."""
    return [event.request for event in operator.parked()]


def decided(connection: Connection, limit: int = 200, of_key: int = 50) -> list[tuple[str, int, str | None]]:
    """Key, sequence and request of the events next for the relay."""
    parameters = {"shards": ALL, "limit": limit, "of_key": of_key}
    return [(row[3], row[4], row[13]) for row in connection.execute(statements.REQUESTED, parameters)]


def test_what_follows_a_refused_event_waits_for_an_operator(connection: Connection, operator: Operator) -> None:
    park(connection, ("k", 1, True), ("k", 2, False))
    park(connection, ("k", 3, False))
    assert requests(operator) == [None, None, None]


def test_followers_of_event_to_be_replayed_are_replayed_too(connection: Connection, operator: Operator) -> None:
    put(connection, "k", 1, "REPLAY")
    park(connection, ("k", 2, False), ("k", 3, False))
    assert requests(operator) == ["REPLAY"] * 3


def test_followers_of_fully_replayed_events_are_replayed_too(connection: Connection, operator: Operator) -> None:
    park(connection, ("k", 7, False))
    assert requests(operator) == ["REPLAY"]


def test_a_key_is_taken_up_from_its_first_event_on(connection: Connection) -> None:
    put(connection, "a", 1, "REPLAY")
    put(connection, "a", 2, "DISCARD")
    put(connection, "a", 3)
    put(connection, "b", 4)
    put(connection, "b", 5, "DISCARD")
    put(connection, "c", 9, "REPLAY")
    assert sorted(decided(connection)) == [("a", 1, "REPLAY"), ("a", 2, "DISCARD"), ("a", 3, None), ("c", 9, "REPLAY")]


def test_a_key_with_a_deep_backlog_leaves_room_for_others(connection: Connection) -> None:
    for sequence in range(1, 8):
        put(connection, "deep", sequence, "REPLAY")
    put(connection, "other", 1, "REPLAY")
    found = decided(connection, of_key=3)
    assert [sequence for key, sequence, _ in found if key == "deep"] == [1, 2, 3]
    assert ("other", 1, "REPLAY") in found
    assert len(decided(connection, limit=2)) == 2


@pytest.mark.parametrize(
    ("statement", "parameters"),
    [
        (statements.PARKED_KEYS, {"shards": ALL}),
        (statements.REQUESTED, {"shards": ALL, "limit": 200, "of_key": 50}),
        (statements.LEFT, {"topics": ["t"], "keys": ["k"]}),
        (statements.FOLLOW, {"topics": ["t"], "keys": ["k"], "actors": ["a"], "reasons": ["r"]}),
        (statements.WITHDRAW, {"topics": ["t"], "keys": ["k"]}),
        (statements.DELETE, {"done": [str(new_id())]}),
    ],
)
def test_parked_events_are_found_by_an_index(
    connection: Connection, statement: str, parameters: dict[str, Any]
) -> None:
    plan = "\n".join(row[0] for row in connection.execute("EXPLAIN " + statement, parameters))
    assert "Seq Scan on outbox_parked" not in plan, plan
    assert "outbox_parked" in plan
