"""The exits page and its stream of changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from services.console.context import Answer
from services.console.live import Fragments, LiveEvents, LiveRows, event
from services.console.pages.exits import PAGE
from services.console.rendering import Pages
from services.console.sessions import SessionCookies
from shared.clock import SystemClock
from tests.unit.console.conftest import SETTINGS, Browser
from tests.unit.console.fake_apis import AT, FakeApis, intent, page, problem


def test_the_list_shows_each_exit_with_its_gates(operator: Browser, apis: FakeApis) -> None:
    apis.answers["GET exit /exits/pending"] = page(intent(), next="abc")
    html = operator.get("/exits").text
    for text in ("NSE:INFY", "Stop loss", "Kill switch", "Defer", "mode ALL", "990.00", "989.50", "Force exit"):
        assert text in html
    assert "cursor=abc" in html


def test_list_requests_only_held_gates_and_counts_the_others(operator: Browser, apis: FakeApis) -> None:
    held = {"gate": "KILL_SWITCH", "verdict": "DEFER", "detail": {"mode": "ALL"}}
    apis.answers["GET exit /exits/pending"] = page(
        intent(gates=[held], gates_passed=17), intent(gates=[], gates_passed=18), intent(gates=[], gates_passed=0)
    )
    html = operator.get("/exits").text
    assert apis.asked[-1].url.params["gates"] == "held"
    for text in ("mode ALL", "17 gates; the page of the trade shows each", "18 passed", "not asked yet"):
        assert text in html


def test_page_of_many_exits_costs_one_small_request(operator: Browser, apis: FakeApis) -> None:
    passed = {"gates": [], "gates_passed": 20}
    apis.answers["GET exit /exits/pending"] = page(*(intent(**passed) for _ in range(PAGE)), next="abc")
    apis.asked.clear()
    html = operator.get("/exits").text
    assert [request.url.params["limit"] for request in apis.asked] == [str(PAGE)]
    assert html.count("<tr data-row") == PAGE == 25
    assert len(html.encode()) < 2_000 * PAGE


def test_the_filters_are_those_of_the_api(operator: Browser, apis: FakeApis) -> None:
    apis.answers["GET exit /exits/pending"] = page()
    query = "symbol=nse:tcs&user_broker_id=paper&exit_reason=TARGET&status=PLACED&older_than_s=60"
    html = operator.get(f"/exits?{query}").text
    assert dict(apis.asked[-1].url.params) == {
        "limit": "25",
        "gates": "held",
        "symbol": "NSE:TCS",
        "user_broker_id": "paper",
        "exit_reason": "TARGET",
        "status": "PLACED",
        "older_than_s": "60",
    }
    assert "No exit matches the filters." in html


def test_all_exits_come_newest_first(operator: Browser, apis: FakeApis) -> None:
    apis.answers["GET exit /exits"] = page(intent(status="FILLED", ended_at=AT, filled_quantity=100))
    html = operator.get("/exits?view=all&status=FILLED&older_than_s=60").text
    assert dict(apis.asked[-1].url.params) == {"limit": "25", "gates": "held", "status": "FILLED", "order": "newest"}
    assert "Filled" in html
    assert "Force exit" not in html


def test_a_reader_is_offered_no_action(reader: Browser, apis: FakeApis) -> None:
    apis.answers["GET exit /exits/pending"] = page(intent())
    html = reader.get("/exits").text
    assert "read only" in html
    assert "Force exit" not in html


def test_what_an_api_refuses_is_a_sentence_on_the_page(operator: Browser, apis: FakeApis) -> None:
    apis.answers["GET exit /exits/pending"] = lambda _: problem(422, "invalid_input", "the request is not valid")
    html = operator.get("/exits?symbol=x").text
    assert "exit-api: the request is not valid" in html
    assert "Correct the input" in html


def test_what_comes_from_an_api_is_escaped(operator: Browser, apis: FakeApis) -> None:
    apis.answers["GET exit /exits/pending"] = page(intent(error_message="<script>alert(1)</script>"))
    assert "<script>alert(1)" not in operator.get("/exits").text


def test_value_unknown_to_console_is_shown_unchanged(operator: Browser, apis: FakeApis) -> None:
    apis.answers["GET exit /exits/pending"] = page(intent(status="NEWER_STATUS", exit_reason="NEWER_REASON"))
    html = operator.get("/exits").text
    assert "Newer status" in html and "Newer reason" in html


async def _take(events: AsyncIterator[str], count: int) -> list[str]:
    return [await anext(events) for _ in range(count)]


def test_the_stream_sends_a_fragment_only_when_it_changes() -> None:
    looks: list[Fragments] = [{"rows": "a"}, {"rows": "a"}, {"rows": "b\nc", "fault": ""}]
    left = iter(looks)

    async def look() -> Fragments:
        return next(left, looks[-1])

    events = LiveEvents(look, 0.001, SystemClock(), lambda: False)
    sent = asyncio.run(_take(events.stream(), 4))
    assert sent == ["retry: 1\n\n", event("rows", "a"), event("rows", "b\nc"), event("fault", "")]
    assert event("rows", "b\nc") == "event: rows\ndata: b\ndata: c\n\n"


def test_the_rows_are_rendered_only_when_the_list_has_changed() -> None:
    first, second = intent(), intent()
    older = {**first, "age_ms": first["age_ms"] + 1000}
    answers = iter([page(first), page(older), page(older, second), page(second)])
    rendered: list[int] = []

    async def ask() -> Answer:
        return Answer(next(answers))

    def rows(answer: Answer) -> str:
        rendered.append(len(answer.items()))
        return f"rows {len(rendered)}"

    live = LiveRows(Pages(SessionCookies(SETTINGS, SystemClock()), SystemClock()), ask, rows)

    async def looks() -> list[Fragments]:
        return [await live.look() for _ in range(4)]

    assert [look["rows"] for look in asyncio.run(looks())] == ["rows 1", "rows 1", "rows 2", "rows 3"]
    assert rendered == [1, 2, 1]


def test_the_stream_ends_with_the_server() -> None:
    stopping: list[bool] = []

    async def look() -> Fragments:
        stopping.append(True)
        return {"rows": "a"}

    async def all_of() -> list[str]:
        return [text async for text in LiveEvents(look, 10, SystemClock(), lambda: bool(stopping)).stream()]

    assert asyncio.run(all_of()) == ["retry: 10000\n\n", event("rows", "a")]


def test_browser_without_session_is_told_not_to_stream_again(browser: Browser) -> None:
    assert browser.get("/exits/stream").status_code == 204


def test_the_rows_change_only_when_an_exit_does(operator: Browser, apis: FakeApis) -> None:
    one = intent()
    apis.answers["GET exit /exits/pending"] = page(one)
    first = operator.get("/exits").text
    apis.answers["GET exit /exits/pending"] = page({**one, "age_ms": 99_000})
    assert operator.get("/exits").text == first
