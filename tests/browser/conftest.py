"""The console in a real headless Chromium, on fake APIs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, StorageState, expect, sync_playwright

from bench.console.chromium import ARGUMENTS, chromium_path
from services.console.app import create
from shared.clock import SystemClock
from shared.runtime.health import Health
from tests.browser.serving import served
from tests.support.waiting import LIMIT_S
from tests.unit.console.conftest import SETTINGS
from tests.unit.console.fake_apis import FakeApis

LIMIT_MS = LIMIT_S * 1000
expect.set_options(timeout=LIMIT_MS)


# Not of the session: playwright's event loop counts as running in this thread until the fixture ends, and no other
# module of this worker could start a loop of its own.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for the tests of a module."""
    path = chromium_path()
    if path is None:
        pytest.skip("needs Chromium: install it, or name it in CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield browser
        browser.close()


def patient_context(chromium: Browser, cookies: StorageState | None = None) -> BrowserContext:
    """Return a new context with waits as long as in every test."""
    context = chromium.new_context(storage_state=cookies)
    context.set_default_timeout(LIMIT_MS)
    return context


@dataclass(frozen=True)
class Console:
    """A serving console, and the APIs behind it."""

    url: str
    apis: FakeApis


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A console on a port of its own."""
    apis = FakeApis()
    app = create(SETTINGS, Health(), SystemClock(), httpx.MockTransport(apis.handle))
    with served(app, str(tmp_path_factory.mktemp("console"))) as url:
        yield Console(url, apis)


@dataclass(frozen=True)
class Tab:
    """A page of the browser with an operator signed in, and its errors."""

    page: Page
    console: Console
    errors: list[str]

    def open(self, path: str) -> None:
        """Open a page of the console."""
        self.page.goto(self.console.url + path)


@pytest.fixture(scope="module")
def cookies(chromium: Browser, console: Console) -> StorageState:
    """The browser's memory of an operator's sign-in."""
    context = patient_context(chromium)
    page = context.new_page()
    page.goto(f"{console.url}/login?next=/book")
    page.fill("#token", "operator-token")
    page.press("#token", "Enter")
    page.wait_for_url("**/book")
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def tab(chromium: Browser, console: Console, cookies: StorageState) -> Iterator[Tab]:
    """A signed-in operator."""
    console.apis.answers.clear()
    console.apis.asked.clear()
    context = patient_context(chromium, cookies)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if "Content Security Policy" in line.text else None)
    yield Tab(page, console, errors)
    context.close()
    assert errors == []
