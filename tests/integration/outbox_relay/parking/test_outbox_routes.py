"""The outbox over HTTP, the same behind both APIs: look, decide parked events, pause shards; all of it audited."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from psycopg.rows import dict_row
from sqlalchemy import Engine

from services.exit_qualification.api import app as exit_api
from services.trade_management.api import app as trade_api
from shared.clock import SystemClock
from shared.http.auth import Scope, store_token
from shared.ids import new_id
from shared.postgres.engine import open_engine
from shared.runtime.health import Health
from shared.settings import Settings
from tests.integration.outbox_relay.parking.parked_rows import park, parked_rows
from tests.support.servers import Database

READER = {"Authorization": "Bearer reader-token"}
Create = Callable[[Settings, Engine, Health, SystemClock], FastAPI]


@dataclass(frozen=True)
class Side:
    """An outbox, the API in front of it, and callers with each right."""

    schema: str
    client: TestClient
    relay_url: str
    admin_url: str

    def park(self, topic: str, key: str, sequence: int, request: str | None = None) -> str:
        """A parked event."""
        return str(park(self.relay_url, topic, key, sequence, request=request))

    def requests(self) -> dict[str, str | None]:
        """The request of each parked event."""
        return {str(row["event_id"]): row["request"] for row in parked_rows(self.admin_url, self.schema)}

    def audited(self) -> list[dict[str, Any]]:
        """Every audited act."""
        with psycopg.connect(self.admin_url, row_factory=dict_row) as connection:
            return connection.execute(f"SELECT * FROM {self.schema}.audit_log ORDER BY audit_id").fetchall()


@pytest.fixture(params=["exit", "trade"])
def side(request: pytest.FixtureRequest, database: Database) -> Iterator[Side]:
    """Each of the two, for an operator."""
    if request.param == "exit":
        opened = _open(exit_api.create, "exit_qualification", database, database.exit_url, database.relay_exit_url)
    else:
        opened = _open(trade_api.create, "trade_management", database, database.trade_url, database.relay_trade_url)
    with opened as side:
        yield side


@contextmanager
def _open(create: Create, schema: str, database: Database, url: str, relay_url: str) -> Iterator[Side]:
    migrator = open_engine(database.migrator_url, schema, application="test")
    with migrator.begin() as connection:
        store_token(connection, "operator-token", "ops-desk", [Scope.READ, Scope.OPERATE])
        store_token(connection, "reader-token", "rita", [Scope.READ])
    migrator.dispose()
    engine = open_engine(url, schema, application="test")
    health = Health("database")
    search_path = f"{relay_url}?options=-csearch_path%3D{schema}"
    with TestClient(create(Settings(), engine, health, SystemClock())) as client:
        client.headers["Authorization"] = "Bearer operator-token"
        yield Side(schema, client, search_path.replace("+psycopg", ""), database.admin_url)
    engine.dispose()


def test_all_shards_are_shown_with_what_waits_in_them(side: Side) -> None:
    side.park("t", "key", 1)
    side.park("t", "key", 2, request="REPLAY")
    shown = side.client.get("/outbox").json()
    assert [shard["shard"] for shard in shown["shards"]] == list(range(64))
    assert shown["totals"] == {
        "shards": 64,
        "owned": 0,
        "owners": 0,
        "paused": 0,
        "backlog": 0,
        "oldest_age_s": None,
        "parked": 2,
        "requested": 1,
    }
    (shard,) = [shard for shard in shown["shards"] if shard["parked"]]
    assert (shard["owner"], shard["lease_until"], shard["parked"], shard["requested"]) == (None, None, 2, 1)


def test_parked_events_come_page_by_page_each_key_in_order(side: Side) -> None:
    expected = [side.park("a", "k1", 1), side.park("a", "k1", 2), side.park("a", "k2", 7), side.park("b", "k1", 1)]
    found: list[str] = []
    cursor = None
    while not found or cursor:
        page = side.client.get("/outbox/parked", params={"limit": 3, **({"cursor": cursor} if cursor else {})}).json()
        found += [event["event_id"] for event in page["items"]]
        cursor = page["next"]
    assert found == expected
    only = side.client.get("/outbox/parked", params={"topic": "a", "key": "k1"}).json()
    assert [event["sequence"] for event in only["items"]] == [1, 2]
    assert only["items"][0]["event_type"] == "io.exitflow.Happened.v1"
    assert only["next"] is None


def test_there_is_a_page_behind_the_longest_key(side: Side) -> None:
    expected = [side.park("t", "₹" * 1000, 1), side.park("t", "₹" * 1000, 2)]
    first = side.client.get("/outbox/parked", params={"limit": 1}).json()
    second = side.client.get("/outbox/parked", params={"limit": 1, "cursor": first["next"]}).json()
    assert [event["event_id"] for page in (first, second) for event in page["items"]] == expected


def test_key_replay_requests_whole_key_and_nothing_else(side: Side) -> None:
    mine = [side.park("t", "key", 1), side.park("t", "key", 2, request="DISCARD"), side.park("t", "key", 3)]
    others = [side.park("t", "other", 1), side.park("u", "key", 1)]
    answer = side.client.post("/outbox/parked/replay", json={"topic": "t", "key": "key", "reason": "limit raised"})
    assert (answer.status_code, answer.json()) == (202, {"requested": 2, "already_requested": 1})
    assert side.requests() == {
        **dict(zip(mine, ("REPLAY", "DISCARD", "REPLAY"), strict=True)),
        **dict.fromkeys(others),
    }
    (row,) = side.client.get("/outbox/parked", params={"topic": "t", "key": "key", "limit": 1}).json()["items"]
    assert (row["requested_by"], row["request_reason"]) == ("ops-desk", "limit raised")
    (act,) = side.audited()
    assert (act["actor"], act["action"], act["subject"], act["reason"]) == (
        "ops-desk",
        "outbox.replay",
        "t key",
        "limit raised",
    )
    assert (act["before"], act["after"]) == ({"parked": 3, "requested": 1}, {"parked": 3, "requested": 3})


def test_replay_accepts_topic_or_any_event_of_key(side: Side) -> None:
    side.park("t", "k1", 1)
    last = side.park("t", "k1", 2)
    side.park("t", "k2", 1)
    by_event = side.client.post("/outbox/parked/replay", json={"event_id": last, "reason": "r"})
    assert by_event.json() == {"requested": 2, "already_requested": 0}
    by_topic = side.client.post("/outbox/parked/replay", json={"topic": "t", "reason": "r"})
    assert by_topic.json() == {"requested": 1, "already_requested": 2}


def test_a_discard_is_asked_for_and_audited(side: Side) -> None:
    event_id = side.park("t", "key", 1, request="REPLAY")
    answer = side.client.post("/outbox/parked/discard", json={"event_id": event_id, "reason": "never valid"})
    assert answer.status_code == 202
    assert side.requests() == {event_id: "DISCARD"}
    (act,) = side.audited()
    assert (act["action"], act["subject"]) == ("outbox.discard", event_id)
    assert (act["before"], act["after"]) == ({"request": "REPLAY"}, {"request": "DISCARD"})


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("replay", {"topic": "t"}),
        ("replay", {"topic": "t", "key": "k"}),
        ("replay", {"event_id": str(new_id())}),
        ("discard", {"event_id": str(new_id())}),
    ],
)
def test_what_is_not_parked_is_not_found(side: Side, path: str, named: dict[str, str]) -> None:
    answer = side.client.post(f"/outbox/parked/{path}", json={**named, "reason": "r"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_parked")
    assert side.audited() == []


@pytest.mark.parametrize(
    "body",
    [
        {"reason": "r"},
        {"topic": "t"},
        {"key": "k", "reason": "r"},
        {"topic": "t", "event_id": str(new_id()), "reason": "r"},
        {"topic": "t", "reason": ""},
        {"topic": "\0", "reason": "r"},
    ],
)
def test_a_replay_names_one_thing_and_a_reason(side: Side, body: dict[str, str]) -> None:
    answer = side.client.post("/outbox/parked/replay", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")


def test_a_shard_is_paused_and_resumed(side: Side) -> None:
    paused = side.client.post("/outbox/shards/17/pause", json={"reason": "trouble"})
    assert (paused.status_code, paused.json()) == (200, {"shard": 17, "paused": True})
    shards = side.client.get("/outbox").json()["shards"]
    assert [shard["shard"] for shard in shards if shard["paused"]] == [17]
    side.client.post("/outbox/shards/17/resume", json={"reason": "well"})
    assert side.client.get("/outbox").json()["totals"]["paused"] == 0
    assert [(act["action"], act["subject"], act["before"], act["after"]) for act in side.audited()] == [
        ("outbox.pause", "shard 17", {"paused": False}, {"paused": True}),
        ("outbox.resume", "shard 17", {"paused": True}, {"paused": False}),
    ]


@pytest.mark.parametrize("shard", ["64", "-1", "x"])
def test_there_are_sixty_four_shards(side: Side, shard: str) -> None:
    answer = side.client.post(f"/outbox/shards/{shard}/pause", json={"reason": "r"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")


@pytest.mark.parametrize("cursor", ["x", "WyJhIl0", "WyJhIiwiYiIsImMiXQ"])
def test_a_cursor_of_another_list_is_refused(side: Side, cursor: str) -> None:
    answer = side.client.get("/outbox/parked", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")


def test_a_reader_looks_and_decides_nothing(side: Side) -> None:
    assert side.client.get("/outbox", headers=READER).status_code == 200
    assert side.client.get("/outbox/parked", headers=READER).status_code == 200
    for path in ("/outbox/parked/replay", "/outbox/parked/discard", "/outbox/shards/1/pause"):
        assert side.client.post(path, json={"reason": "r"}, headers=READER).status_code == 403
    assert side.client.get("/outbox", headers={"Authorization": ""}).status_code == 401
