"""What an operator asks: each answer is two clicks away at most, by keys alone, on a phone too."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, expect

from tests.browser.conftest import Tab
from tests.pictures.market import HELD, serve_market
from tests.unit.console.fake_apis import page

PHONE = (390, 844)
FITS = """() => [document.documentElement, ...document.querySelectorAll(".low")]
  .every(each => each.scrollWidth <= each.clientWidth)"""
"""Neither the page nor a table of profits scrolls sideways."""


@pytest.fixture
def desk(tab: Tab) -> Iterator[Tab]:
    """The page Exits of a trading morning; at the end axe finds nothing, and the last page fits both screens."""
    serve_market(tab.console.apis)
    tab.open("/exits")
    yield tab
    assert Axe().run(tab.page).response["violations"] == []
    assert tab.page.evaluate(FITS)
    tab.page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    assert tab.page.evaluate(FITS)


def choose(target: Locator) -> None:
    """Choose a link as somebody without a mouse does."""
    target.focus()
    target.press("Enter")


def go(tab: Tab, key: str, path: str) -> None:
    """Go to a page by its key."""
    tab.page.keyboard.press("g")
    tab.page.keyboard.press(key)
    tab.page.wait_for_url(f"**{path}")


def shows(tab: Tab, *texts: str) -> None:
    """Expect each text in the page."""
    for text in texts:
        expect(tab.page.get_by_text(text).first).to_be_visible()


def test_which_exits_wait_and_for_what(desk: Tab) -> None:
    shows(desk, "9,958 pending", "Kill switch", "Token expired")
    desk.page.keyboard.press("j")
    desk.page.keyboard.press("x")
    shows(desk, "mode ALL")


def test_why_a_trade_did_not_exit(desk: Tab) -> None:
    desk.console.apis.answers["GET trade /trades"] = page(HELD)
    desk.page.keyboard.press("/")
    desk.page.keyboard.type("NSE:SBIN")
    desk.page.keyboard.press("Enter")
    choose(desk.page.get_by_role("link", name="Open trades of NSE:SBIN"))
    choose(desk.page.get_by_role("link", name="NSE:SBIN", exact=True))
    shows(desk, "Why it has not exited", "The stop loss exit fired and is held by kill switch (mode ALL).")


def test_the_profit_of_each_account_today(desk: Tab) -> None:
    go(desk, "b", "/book")
    account = desk.page.get_by_role("region", name="By account").get_by_role("row")
    expect(account.filter(has_text="zerodha-1")).to_contain_text("5,308.15")


def test_what_is_parked_and_what_a_replay_does(desk: Tab) -> None:
    go(desk, "o", "/outbox")
    shows(desk, "MSG_SIZE_TOO_LARGE")
    choose(desk.page.get_by_role("link", name="Replay key").first)
    shows(desk, "Sends 3 events in order to topic exits.intents.v1")


def test_who_threw_the_kill_switch(desk: Tab) -> None:
    go(desk, "s", "/system")
    shows(desk, "“the feed of NSE is behind”, risk-desk, 13 Jan 2026, 10:28:50")


def test_which_account_is_down(desk: Tab) -> None:
    go(desk, "s", "/system")
    accounts = desk.page.get_by_role("region", name="Accounts at brokers").get_by_role("listitem")
    expect(accounts.filter(has_text="Disconnected")).to_contain_text("zerodha-1")
    expect(accounts.filter(has_text="token refused")).to_contain_text("zerodha-2")


def test_how_far_a_trade_is_from_its_stop(desk: Tab) -> None:
    go(desk, "b", "/book")
    choose(desk.page.get_by_role("link", name="Nearest to their stop"))
    expect(desk.page.get_by_role("row").filter(has_text="NSE:SBIN")).to_contain_text("1.68 (0.21%)")


def test_what_a_bulk_exit_would_do(desk: Tab) -> None:
    choose(desk.page.get_by_role("link", name="Exit trades"))
    desk.page.get_by_label("Product").select_option("MIS")
    choose(desk.page.get_by_role("button", name="Show what happens"))
    shows(desk, "Exits 4 trades: sells 550 shares.", "Skips 1 trade: an exit is in progress.")


def test_whether_anything_is_stuck(desk: Tab) -> None:
    go(desk, "s", "/system")
    shows(desk, "10,012 exits pending, the oldest (NSE:INFY) for", "Exit qualification: 3 events parked.")
    shows(desk, "1 trade without the protective stop of the plan.")


def test_when_the_last_trade_closed(desk: Tab) -> None:
    go(desk, "b", "/book")
    shows(desk, "last at 10:29:12")
