"""The doctor asks every question, and reports a silent API once."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import httpx
import pytest

from services.cli.support.api_client import ApiClient
from services.cli.support.connection import Target
from services.doctor import examination
from services.doctor.symptom import Symptom
from shared.settings import Settings
from tests.unit.doctor.test_rules import ACCOUNT, TOTALS

EMPTY: dict[str, Any] = {"items": [], "next": None}
HEALTHY: dict[str, Any] = {
    "/kill-switch": {"mode": "OFF"},
    "/rollout": {"mode": "full"},
    "/brokers": {"items": [ACCOUNT]},
    "/exits/pending": EMPTY,
    "/exits": EMPTY,
    "/protective-stops/missing": EMPTY,
    "/calendars": {"items": [{"exchange": "NSE", "valid_to": None}]},
    "/instruments/loads": EMPTY,
    "/outbox": {"totals": TOTALS},
}


@pytest.fixture
def asked() -> list[str]:
    """The questions put to both APIs."""
    return []


@pytest.fixture
def examined(monkeypatch: pytest.MonkeyPatch, asked: list[str]) -> Any:
    """Returns the symptoms of a system with a status as the answer of its APIs."""
    monkeypatch.setattr(examination, "_ask_kafka", lambda _: [])

    def examine(status: int, processes: Mapping[str, str] = MappingProxyType({}), **changed: Any) -> list[Symptom]:
        answers = HEALTHY | {f"/{path}": body for path, body in changed.items()}

        def answer(request: httpx.Request) -> httpx.Response:
            asked.append(request.url.path)
            body = answers[request.url.path] if status == 200 else {"code": "x", "detail": "no"}
            return httpx.Response(status, json=body)

        monkeypatch.setattr(
            examination, "ApiClient", lambda root, token: ApiClient(root, token, httpx.MockTransport(answer))
        )
        return examination.examine(Target.of_settings(Settings()), processes)

    return examine


def test_a_healthy_system_has_no_symptom(examined: Any) -> None:
    assert examined(200) == []


def test_each_answer_is_judged(examined: Any) -> None:
    parked = {"totals": TOTALS | {"parked": 2}}
    found = examined(200, brokers={"items": [ACCOUNT | {"token_refused_at": "2026-01-13T04:00:00Z"}]}, outbox=parked)
    assert [each.subject for each in found] == ["account paper", "outbox exit", "outbox trade"]


@pytest.mark.parametrize(
    ("status", "action"), [(401, "tokens create"), (403, "tokens create"), (404, "log of"), (503, "exitflow status")]
)
def test_an_api_that_answers_no_question_is_one_symptom(examined: Any, status: int, action: str) -> None:
    found = examined(status)
    assert [each.subject for each in found] == ["exit-api", "trade-api"]
    assert all(action in each.action for each in found)


def test_a_silent_api_is_asked_only_once(examined: Any, asked: list[str]) -> None:
    examined(503)
    assert asked == ["/kill-switch", "/outbox"]


def test_an_api_known_to_be_silent_is_not_asked(examined: Any, asked: list[str]) -> None:
    found = examined(503, {"exit-api": "http://127.0.0.1:1"})
    assert asked == ["/outbox"]
    assert [each.subject for each in found] == ["exit-api", "trade-api"]


def test_a_database_behind_an_api_is_named(monkeypatch: pytest.MonkeyPatch, examined: Any) -> None:
    monkeypatch.setattr(examination, "problem_of", lambda _: "not ready (503): database: does not answer")
    monkeypatch.setattr(examination, "consumer_lag", lambda _: {})
    found = examined(503, {"exit-api": "http://127.0.0.1:1", "trade-api": "http://127.0.0.1:1"})
    assert [(each.subject, "PostgreSQL" in each.action) for each in found] == [("exit-api", True), ("trade-api", True)]
