"""A token with too many requests is told when to come back; others are served on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.clock import SystemClock
from shared.http.problems import MEDIA_TYPE
from shared.http.rate_limits import BURST_S, RateLimiter
from tests.integration.http.conftest import Api


@pytest.fixture
def limited(api: Api) -> Iterator[Api]:
    """An API with one request a second for each token."""
    before = api.app.state.rate_limiter
    api.app.state.rate_limiter = RateLimiter(1, SystemClock())
    yield api
    api.app.state.rate_limiter = before


def test_overactive_token_gets_429_until_it_waits(limited: Api) -> None:
    answers = [limited.client.get("/brokers" if limited.name == "exit-api" else "/pnl") for _ in range(BURST_S + 20)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert {answer.status_code for answer in answers} == {200, 429}
    assert refused[0].headers["content-type"] == MEDIA_TYPE
    assert refused[0].headers["retry-after"] == "1"
    assert (refused[0].json()["code"], refused[0].json()["retryable"]) == ("too_many_requests", True)


def test_health_and_unknown_tokens_do_not_count(limited: Api) -> None:
    for _ in range(BURST_S + 20):
        assert limited.client.get("/healthz").status_code == 200
        unknown = limited.client.get("/outbox", headers={"Authorization": "Bearer unknown"})
        assert unknown.status_code == 401
    assert limited.client.get("/outbox").status_code == 200
