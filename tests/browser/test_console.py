"""An operator in a browser: live lists, keys, confirmation, phones, the dark theme; and the findings of axe."""

from __future__ import annotations

import json

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ViewportSize, expect

from tests.browser.conftest import Tab
from tests.support.waiting import wait_until
from tests.unit.console.fake_apis import Json, explanation, intent, page, parked, rule, stop, trade
from tests.unit.console.test_book_outbox_system import PNL, serve_outbox, serve_system
from tests.unit.console.test_bulk_exit import BULK, MANY, bodies
from tests.unit.console.test_bulk_withdrawal import MANY as WITHDRAWN
from tests.unit.console.test_bulk_withdrawal import WITHDRAW
from tests.unit.console.test_trade import closed_trade, serve

PENDING = "GET exit /exits/pending"
STOPS = "GET exit /protective-stops"
MISSING = "GET exit /protective-stops/missing"
DESK, TABLET, PHONE = (
    ViewportSize(width=1280, height=800), ViewportSize(width=900, height=1200), ViewportSize(width=390, height=844),
)  # fmt: skip
WIDE: Json = {
    "symbol": "NSE:HDFCBANK", "exit_reason": "TRAILING_STOP", "status": "PARTIALLY_FILLED", "quantity": 250_000,
    "filled_quantity": 120_000, "detected_price": "123456.05", "exit_level": "123456.00", "user_broker_id": "zerodha-2",
    "error_code": "ACCOUNT_DISCONNECTED",
}  # fmt: skip
"""An exit with the widest possible row."""
DEFERRED: Json = {"gate": "BROKER_CONNECTED", "verdict": "DEFER", "detail": {"status": "DISCONNECTED"}}
NEAR: Json = {
    "trade_id": "01a21646-663d-7725-ad37-39a5aa7b8c85", "symbol": "NSE:HDFCBANK", "direction": "LONG",
    "user_broker_id": "zerodha-2", "stop_loss": "123456.00", "last_price": "123450.00", "distance": "-6.00",
    "priced_at": "2026-01-13T05:00:00.000000Z",
}  # fmt: skip
COUNTS: Json = {"total": 10_003, "by_status": {"PENDING": 10_000, "UNKNOWN": 3}, "is_whole": True}
LONG = "ReadTimeout: HTTPConnectionPool(host='127.0.0.1',port=30010):Read-timed-out.(read-timeout=7.0)" * 2
LAID_OUT = """() => {
  const main = document.querySelector("main"), style = getComputedStyle(main);
  const right = main.getBoundingClientRect().right - parseFloat(style.paddingRight) + 0.5;
  const wide = [...document.querySelectorAll("main table, main section")].filter(
    each => each.getBoundingClientRect().right > right);
  const rows = [...document.querySelectorAll(".grid")].map(
    grid => new Set([...grid.children].map(each => getComputedStyle(each).marginTop)).size);
  return wide.length === 0 && rows.every(margins => margins <= 1);
}"""
"""Nothing is wider than the page's column, and cards beside each other begin at the same height."""


def test_the_list_follows_the_exits_and_keeps_what_was_opened(tab: Tab) -> None:
    first = intent()
    tab.console.apis.answers[PENDING] = page(first)
    tab.open("/exits")
    expect(tab.page.locator("[data-live]")).to_have_text("live")
    details = tab.page.locator(f"#gates-{first['intent_id']}")
    details.locator("summary").click()
    second = intent(symbol="NSE:TCS", status="PLACED", exit_reason="TARGET")
    tab.console.apis.answers[PENDING] = page(first, second)
    expect(tab.page.get_by_role("link", name="NSE:TCS", exact=True)).to_be_visible()
    expect(details).to_have_attribute("open", "")
    tab.console.apis.answers[PENDING] = page()
    expect(tab.page.get_by_text("No exit is pending.")).to_be_visible()


def test_rows_that_the_page_shows_are_not_sent_again(tab: Tab) -> None:
    first = intent()
    tab.console.apis.answers[PENDING] = page(first)
    tab.open("/exits")
    tab.page.locator("[data-row]").evaluate("row => { row.seenBefore = true; }")
    expect(tab.page.locator("[data-live]")).to_have_text("live")
    asked = len(tab.console.apis.asked)
    wait_until(lambda: len(tab.console.apis.asked) >= asked + 2, "the stream looks twice")
    assert tab.page.locator("[data-row]").evaluate("row => row.seenBefore") is True


def test_token_revoked_during_a_page_leads_to_sign_in(tab: Tab) -> None:
    tab.console.apis.revoked = True
    try:
        tab.open("/exits")
        tab.page.wait_for_url("**/login?**")
        expect(tab.page.get_by_text("The token is no longer valid. Sign in again.")).to_be_visible()
    finally:
        tab.console.apis.revoked = False


def test_api_outage_is_reported_and_rows_stay(tab: Tab) -> None:
    tab.console.apis.answers[PENDING] = page(intent())
    tab.open("/exits")
    tab.console.apis.down.add("exit")
    try:
        expect(tab.page.get_by_role("alert")).to_contain_text("exit-api cannot be reached")
        expect(tab.page.get_by_role("link", name="NSE:INFY", exact=True)).to_be_visible()
    finally:
        tab.console.apis.down.clear()
    expect(tab.page.get_by_role("alert")).to_have_count(0)


def test_the_list_of_protective_stops_follows_their_states(tab: Tab) -> None:
    one = stop(status="PLACING", armed_at=None)
    tab.console.apis.answers |= {PENDING: page(), STOPS: page(one)}
    tab.open("/exits")
    tab.page.get_by_role("link", name="Protective stops").click()
    expect(tab.page.get_by_text("the broker's books do not show it yet")).to_be_visible()
    expect(tab.page.locator("[data-live]")).to_have_text("live")
    tab.console.apis.answers[STOPS] = page(one | {"status": "ARMED"})
    expect(tab.page.get_by_text("The broker holds it with these terms.")).to_be_visible()


def test_a_filter_changes_the_list_and_the_address(tab: Tab) -> None:
    tab.console.apis.answers[PENDING] = page(intent())
    tab.open("/exits")
    tab.page.select_option("#reason", "TARGET")
    tab.page.wait_for_url("**exit_reason=TARGET**")
    tab.page.wait_for_function("document.querySelector('#list').getAttribute('sse-connect').includes('TARGET')")
    asked = tab.console.apis.asked
    wait_until(lambda: asked[-1].url.params.get("exit_reason") == "TARGET", "the stream asks with the filter")


def test_everything_is_reached_by_keys(tab: Tab) -> None:
    one = intent()
    tab.console.apis.answers[PENDING] = page(one, intent())
    tab.open("/book")
    tab.page.locator("body").press("g")
    tab.page.locator("body").press("e")
    tab.page.wait_for_url("**/exits")
    expect(tab.page.locator("[data-live]")).to_have_text("live")
    tab.page.keyboard.press("j")
    tab.page.keyboard.press("x")
    expect(tab.page.locator(f"#gates-{one['intent_id']}")).to_have_attribute("open", "")
    expect(tab.page.locator(f"#open-{one['intent_id']}")).to_be_focused()
    tab.page.keyboard.press("?")
    expect(tab.page.get_by_role("dialog")).to_be_visible()
    tab.page.keyboard.press("Escape")
    tab.page.keyboard.press("/")
    expect(tab.page.locator("#find")).to_be_focused()


def test_an_exit_is_forced_after_the_preview(tab: Tab) -> None:
    one = trade()
    serve(tab.console.apis, one)
    tab.console.apis.answers["POST exit /exits"] = intent(exit_reason="MANUAL")
    tab.open(f"/trades/{one['trade_id']}")
    tab.page.get_by_role("link", name="Force exit").click()
    expect(tab.page.get_by_text("Sells 100 NSE:INFY (MIS) on account paper.")).to_be_visible()
    tab.page.get_by_label("Reason").fill("flatten before the close")
    tab.page.get_by_role("button", name="Force exit of 100 NSE:INFY").click()
    expect(tab.page.get_by_role("status")).to_have_text("Manual exit of 100 NSE:INFY accepted.")


def test_broker_fills_resolve_unknown_exit(tab: Tab) -> None:
    one, path = _unknown_exit(tab)
    tab.open("/exits")
    tab.page.get_by_role("link", name="Resolve the exit of NSE:INFY, Stop loss").click()
    expect(tab.page.get_by_text("Records the fills of the order for 100 NSE:INFY on account paper.")).to_be_visible()
    tab.page.get_by_label("The broker's id of the order").fill("B7")
    tab.page.get_by_label("Fills, one a line").fill("T1 40 989.50 2026-01-13 10:30:11\nT2 60 989.45")
    _confirm(tab, "read at the broker's desk", "filled", "Record as filled")
    expect(tab.page.get_by_text("Line 2 is not a fill.")).to_be_visible()
    assert [request.method for request in tab.console.apis.asked if request.url.path == path] == []
    tab.page.get_by_label("Fills, one a line").fill("T1 40 989.50 2026-01-13 10:30:11\nT2 60 989.45 2026-01-13 10:31")
    _confirm(tab, "read at the broker's desk", "filled", "Record as filled")
    expect(tab.page.get_by_role("status")).to_have_text("The exit of NSE:INFY is filled, 100 filled.")
    (sent,) = (json.loads(each.content) for each in tab.console.apis.asked if each.url.path == path)
    assert (sent["broker_order_id"], [fill["quantity"] for fill in sent["fills"]]) == ("B7", [40, 60])
    assert tab.page.url.endswith(f"/trades/{one['trade_id']}")


def test_another_outcome_is_chosen_and_shows_its_own_consequences(tab: Tab) -> None:
    _, path = _unknown_exit(tab)
    tab.open(path)
    tab.page.get_by_role("group", name="Outcome").get_by_role("link", name="Not placed").click()
    expect(tab.page.get_by_text("the shares are traded twice")).to_be_visible()
    expect(tab.page.get_by_label("Fills, one a line")).to_have_count(0)
    _confirm(tab, "the broker's desk knows no such order", "not placed", "Record as not placed")
    expect(tab.page.get_by_role("status")).to_be_visible()
    assert json.loads(next(each for each in tab.console.apis.asked if each.url.path == path).content) == {
        "resolution": "not_placed", "reason": "the broker's desk knows no such order", "broker_order_id": None,
        "fills": [],
    }  # fmt: skip


def test_every_filtered_trade_exits_after_dry_run_review(tab: Tab) -> None:
    tab.console.apis.answers |= {PENDING: page(), BULK: MANY}
    tab.open("/exits")
    tab.page.get_by_role("link", name="Exit trades").click()
    tab.page.get_by_label("Symbol").fill("nse:infy")
    tab.page.get_by_role("button", name="Show what happens").click()
    expect(tab.page.get_by_role("heading", name="Exit every trade of NSE:INFY")).to_be_visible()
    expect(tab.page.get_by_text("Exits 15 trades: sells 1,400 shares and buys back 30 shares.")).to_be_visible()
    _confirm(tab, "flatten", "exit 14", "Exit 15 trades")
    expect(tab.page.get_by_text("Type exit 15 exactly.")).to_be_visible()
    assert all(body["dry_run"] for body in bodies(tab.console.apis))
    _confirm(tab, "flatten", "exit 15", "Exit 15 trades")
    expect(tab.page.get_by_role("status")).to_have_text("Manual exits of 15 trades accepted. 3 trades skipped.")
    assert [body["dry_run"] for body in bodies(tab.console.apis)][-1] is False


def test_every_unsent_exit_of_the_filter_is_withdrawn_by_keys(tab: Tab) -> None:
    counts = {"total": 6, "by_status": {"PENDING": 6}, "is_whole": True}
    tab.console.apis.answers |= {PENDING: {**page(intent()), "counts": counts}, WITHDRAW: WITHDRAWN}
    tab.open("/exits?symbol=NSE:INFY")
    tab.page.get_by_role("link", name="Withdraw unsent").press("Enter")
    expect(tab.page.get_by_text("Cancels 6 exits: 4 stop loss, 2 target.")).to_be_visible()
    expect(tab.page.get_by_label("Reason")).to_be_focused()
    tab.page.keyboard.type("wrong plan")
    tab.page.keyboard.press("Tab")
    tab.page.keyboard.type("withdraw 6")
    tab.page.keyboard.press("Enter")
    expect(tab.page.get_by_role("status")).to_have_text("6 exits withdrawn. 2 exits skipped.")


def _unknown_exit(tab: Tab) -> tuple[Json, str]:
    """Let the APIs have one exit of unknown order; return it and the path for resolving it."""
    one = intent(status="UNKNOWN", error_message="no answer")
    path = f"/exits/{one['intent_id']}/resolve"
    serve(tab.console.apis, trade(trade_id=one["trade_id"]))
    tab.console.apis.answers |= {
        PENDING: page(one),
        f"GET exit /exits/{one['intent_id']}": one,
        f"POST exit {path}": {**one, "status": "FILLED", "filled_quantity": 100},
    }
    return one, path


def _confirm(tab: Tab, reason: str, word: str, button: str) -> None:
    """Give the reason, type the word and press the button."""
    tab.page.get_by_label("Reason").fill(reason)
    tab.page.locator("#word").fill(word)
    tab.page.get_by_role("button", name=button).click()


def _paths(tab: Tab) -> list[str]:
    one, exit_, timeline = closed_trade()
    serve(tab.console.apis, one, exit_, timeline=timeline)
    open_trade, unknown = trade(), intent(status="UNKNOWN", gates=[], error_message=LONG)
    serve(tab.console.apis, open_trade)
    tab.console.apis.answers |= {
        PENDING: {**page(intent(**WIDE, gates=[DEFERRED, DEFERRED]), intent(), unknown), "counts": COUNTS},
        f"GET exit /exits/why/{open_trade['trade_id']}": explanation(rule(), protective_stop=stop()),
        f"GET exit /exits/{unknown['intent_id']}": unknown,
        BULK: MANY,
        WITHDRAW: WITHDRAWN,
        "GET exit /exits/nearest": {"items": [NEAR]},
        "GET trade /pnl": PNL,
        "GET trade /trades": page(open_trade, next="abc"),
        MISSING: page({**open_trade, "stop": stop(status="FAILED", error_message=LONG)}, {**trade(), "stop": None}),
        STOPS: page(stop(trade_id=open_trade["trade_id"]), stop(status="FAILED", error_code="X", error_message=LONG)),
    }
    serve_outbox(tab.console.apis, parked(4), parked(5, request="REPLAY", requested_by="ops-desk"), paused=True)
    serve_system(tab.console.apis)
    return [
        "/exits",
        f"/trades/{one['trade_id']}",
        f"/trades/{open_trade['trade_id']}",
        f"/trades/{open_trade['trade_id']}/exit",
        f"/exits/{unknown['intent_id']}/resolve",
        "/exits/stops",
        "/exits/bulk",
        "/exits/bulk?symbol=NSE:INFY",
        "/exits/withdraw/bulk",
        "/exits/withdraw/bulk?symbol=NSE:INFY",
        "/book",
        "/book/nearest",
        "/outbox",
        "/outbox/exit/replay?topic=exits.intents.v1",
        "/system",
        "/system/kill-switch?mode=ALL",
        "/nothing",
    ]


def _violations(tab: Tab) -> list[tuple[str, str]]:
    return [(each["id"], each["nodes"][0]["html"]) for each in Axe().run(tab.page).response["violations"]]


def test_axe_finds_nothing_and_every_page_fits_its_screen(tab: Tab) -> None:
    for path in _paths(tab):
        tab.open(path)
        for summary in tab.page.locator("summary").all():
            summary.click()
        assert _violations(tab) == [], path
        assert tab.page.evaluate(LAID_OUT), path
        tab.page.set_viewport_size(TABLET)
        assert tab.page.evaluate(LAID_OUT), path
        tab.page.set_viewport_size(PHONE)
        assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        tab.page.set_viewport_size(DESK)


def test_axe_finds_nothing_in_the_dark(tab: Tab) -> None:
    _, trade_path, *_ = _paths(tab)
    tab.page.emulate_media(color_scheme="dark")
    for path in ("/exits", trade_path, "/exits/stops", "/book", "/system"):
        tab.open(path)
        assert _violations(tab) == [], path


def test_the_sign_in_is_accessible(tab: Tab) -> None:
    tab.open("/login")
    assert Axe().run(tab.page).response["violations"] == []
