"""`exitflow outbox` sends the request to the right API."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest

from services.cli.commands import outbox as outbox_commands
from services.cli.commands.outbox import WhichOutbox
from services.cli.support.api_client import ApiClient
from tests.unit.cli.results import Result

Exitflow = Callable[..., Result]

SHARD = {"shard": 3, "owner": None, "paused": True, "epoch": 7, "lease_until": None, "backlog": 2, "parked": 1}
ANSWERS = {
    "/outbox": {"totals": {"shards": 64, "parked": 1}, "shards": [SHARD]},
    "/outbox/parked": {"items": [{"event_id": "e1", "topic": "t", "key": "k", "sequence": 4}], "next": None},
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[WhichOutbox, str, object]]:
    """The requests to the APIs: which API, path, query or body."""
    found: list[tuple[WhichOutbox, str, object]] = []

    def api_of(outbox: WhichOutbox, _: object) -> ApiClient:
        def answer(request: httpx.Request) -> httpx.Response:
            said = json.loads(request.content) if request.method == "POST" else dict(request.url.params)
            found.append((outbox, request.url.path, said))
            return httpx.Response(200, json=ANSWERS.get(request.url.path, {"requested": 1}))

        return ApiClient("http://api", "token", httpx.MockTransport(answer))

    monkeypatch.setattr(outbox_commands, "outbox_api", api_of)
    return found


def test_status_shows_totals_and_shards(exitflow: Exitflow, asked: list[object]) -> None:
    shown = exitflow("outbox", "status")
    assert shown.status == 0
    assert "64" in shown.out
    assert asked == [(WhichOutbox.EXIT, "/outbox", {})]
    assert json.loads(exitflow("outbox", "status", "--json").out) == ANSWERS["/outbox"]


def test_parked_events_are_listed_of_either_outbox(exitflow: Exitflow, asked: list[object]) -> None:
    shown = exitflow("outbox", "parked", "--outbox", "trade", "--topic", "t", "--json")
    assert [event["event_id"] for event in json.loads(shown.out)] == ["e1"]
    assert asked == [(WhichOutbox.TRADE, "/outbox/parked", {"topic": "t", "limit": "100"})]


@pytest.mark.parametrize(
    ("arguments", "path", "body"),
    [
        (("replay", "--topic", "t", "--key", "k"), "/outbox/parked/replay", {"topic": "t", "key": "k"}),
        (("replay", "--topic", "t"), "/outbox/parked/replay", {"topic": "t"}),
        (("replay", "--event", "e1"), "/outbox/parked/replay", {"event_id": "e1"}),
        (("discard", "e1"), "/outbox/parked/discard", {"event_id": "e1"}),
        (("pause", "17"), "/outbox/shards/17/pause", {}),
        (("resume", "17"), "/outbox/shards/17/resume", {}),
    ],
)
def test_what_is_decided_is_sent_with_its_reason(
    exitflow: Exitflow, asked: list[object], arguments: tuple[str, ...], path: str, body: dict[str, str]
) -> None:
    assert exitflow("outbox", *arguments, "--reason", "why").status == 0
    assert asked == [(WhichOutbox.EXIT, path, {**body, "reason": "why"})]


@pytest.mark.parametrize(
    "arguments",
    [
        ("replay", "--reason", "why"),
        ("replay", "--key", "k", "--reason", "why"),
        ("replay", "--topic", "t", "--event", "e1", "--reason", "why"),
        ("replay", "--topic", "t"),
        ("discard", "e1"),
        ("pause", "64", "--reason", "why"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(
    exitflow: Exitflow, asked: list[object], arguments: tuple[str, ...]
) -> None:
    assert exitflow("outbox", *arguments).status == 2
    assert asked == []


@pytest.mark.parametrize(
    ("named", "query"), [(("--topic", "t", "--key", "k"), {"topic": "t", "key": "k"}), (("--event", "e1"), {})]
)
def test_a_dry_replay_lists_what_would_be_sent(
    exitflow: Exitflow, asked: list[tuple[WhichOutbox, str, object]], named: tuple[str, ...], query: dict[str, str]
) -> None:
    shown = exitflow("outbox", "replay", *named, "--dry-run")
    assert shown.status == 0
    assert "to send: 1 event of 1 key, each key in order" in shown.out and "e1" in shown.out
    ((outbox, path, said),) = asked
    assert (outbox, path) == (WhichOutbox.EXIT, "/outbox/parked")
    assert query.items() <= said.items()  # type: ignore[attr-defined]  # a query


def test_discard_is_previewed_among_the_events_of_its_key(
    exitflow: Exitflow, asked: list[tuple[WhichOutbox, str, object]]
) -> None:
    shown = exitflow("outbox", "discard", "e1", "--dry-run")
    assert shown.status == 0
    assert "to discard: number 4" in " ".join(shown.out.split())
    assert [request[:2] for request in asked] == [(WhichOutbox.EXIT, "/outbox/parked")]


@pytest.mark.parametrize("command", [("discard", "e2"), ("replay", "--event", "e2")])
def test_a_preview_of_an_event_not_parked_says_so(
    exitflow: Exitflow, asked: list[object], command: tuple[str, ...]
) -> None:
    shown = exitflow("outbox", *command, "--dry-run")
    assert (shown.status, shown.out) == (1, "")
    assert "event e2 is not parked in outbox exit; `exitflow outbox parked` lists those that are" in shown.err
