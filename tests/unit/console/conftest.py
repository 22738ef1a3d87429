"""The console on fake APIs, and a browser's view of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from services.console.app import create
from shared.clock import SystemClock
from shared.runtime.health import Health
from shared.settings import Settings
from tests.unit.console.fake_apis import FakeApis

SETTINGS = Settings(
    exit_api_url="http://exit",
    trade_api_url="http://trade",
    console_session_key=SecretStr("k" * 40),
    console_refresh_ms=100,
    console_trace_url="https://traces.example/t/{trace_id}?view=all",
)


@dataclass
class Browser:
    """A browser without scripts."""

    http: TestClient

    def get(self, path: str) -> httpx.Response:
        """Open a page."""
        return self.http.get(path)

    def csrf(self, path: str = "/login") -> str:
        """Return the secret of the forms of a page."""
        found = re.search(r'name="csrf" value="([^"]+)"', self.http.get(path).text)
        assert found
        return found[1]

    def sign_in(self, token: str, next_path: str = "/exits") -> httpx.Response:
        """Send the sign-in form."""
        return self.http.post("/login", data={"token": token, "csrf": self.csrf(), "next": next_path})

    def send(self, path: str, **fields: Any) -> httpx.Response:
        """Send a form with the secret of the session."""
        return self.http.post(path, data={"csrf": self.csrf("/login"), **fields})


@pytest.fixture
def apis() -> FakeApis:
    return FakeApis()


@pytest.fixture
def browser(apis: FakeApis) -> Iterator[Browser]:
    """A browser not signed in."""
    app = create(SETTINGS, Health(), SystemClock(), httpx.MockTransport(apis.handle))
    with TestClient(app, follow_redirects=False) as http:
        yield Browser(http)


@pytest.fixture
def operator(browser: Browser) -> Browser:
    """An operator's browser."""
    assert browser.sign_in("operator-token").status_code == 303
    return browser


@pytest.fixture
def reader(browser: Browser) -> Browser:
    """The browser of somebody who may only read."""
    assert browser.sign_in("reader-token").status_code == 303
    return browser
