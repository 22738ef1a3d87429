"""The exits page and its stream of changes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from fastapi import Request
from fastapi.responses import StreamingResponse

from services.console.context import Answer
from services.console.live import UNFINISHED, Fragments, LiveEvents, LiveRows, event, seen_state, state_of
from services.console.pages.exits import PAGE, ExitFilter
from services.console.rendering import Pages
from services.console.sessions import Session, SessionCookies
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
        "counts": "true",
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


def events_of(looks: Sequence[Fragments], count: int, seen: str = "") -> list[str]:
    """Return the first texts of a stream that looks at these fragments; the last ones stay."""
    left = iter(looks)

    async def look() -> Fragments:
        return next(left, looks[-1])

    return asyncio.run(_take(LiveEvents(look, 0.001, SystemClock(), lambda: False, seen).stream(), count))


def test_the_stream_sends_a_fragment_only_when_it_changes() -> None:
    sent = events_of([{"rows": "a"}, {"rows": "a"}, {"rows": "b\nc", "fault": ""}], 4)
    one, two = state_of({"rows": "a"}), state_of({"rows": "b\nc", "fault": ""})
    assert sent == [
        "retry: 1\n\n",
        event("rows", "a", one),
        event("rows", "b\nc", UNFINISHED),
        event("fault", "", two),
    ]
    assert event("rows", "b\nc", "s") == "event: rows\nid: s\ndata: b\ndata: c\n\n"


def test_the_stream_sends_nothing_that_the_page_shows_already() -> None:
    first, second = {"rows": "a", "fault": ""}, {"rows": "b", "fault": ""}
    assert events_of([first, first, second], 2, state_of(first))[1:] == [event("rows", "b", state_of(second))]


@pytest.mark.parametrize("seen", ["", UNFINISHED, state_of({"rows": "older", "fault": ""})])
def test_the_stream_sends_everything_to_a_page_of_another_state(seen: str) -> None:
    found = {"rows": "a", "fault": ""}
    assert events_of([found], 3, seen)[1:] == [event("rows", "a", UNFINISHED), event("fault", "", state_of(found))]


def test_a_page_names_the_state_with_which_its_stream_begins(operator: Browser, apis: FakeApis) -> None:
    apis.answers["GET exit /exits/pending"] = page(intent())
    states = [re.findall(r"stream\?view=pending&amp;seen=(\w+)", operator.get("/exits").text) for _ in range(2)]
    assert states[0] == states[1] and len(states[0]) == 1


def test_last_event_of_a_lost_connection_beats_the_page() -> None:
    def state(*headers: tuple[bytes, bytes]) -> str:
        return seen_state(Request({"type": "http", "headers": headers}), "page")

    assert (state(), state((b"last-event-id", b"event"))) == ("page", "event")


def test_head_of_a_page_is_sent_before_api_answers(operator: Browser, apis: FakeApis) -> None:
    pages = Pages(SessionCookies(SETTINGS, SystemClock()), SystemClock())
    asked: list[bool] = []

    async def ask() -> dict[str, Any]:
        asked.append(True)
        return {"fragments": {"fault": "", "rows": "THE ROWS"}, "state": "s"}

    async def parts() -> list[tuple[str, bool]]:
        request = Request({"type": "http", "path": "/exits", "headers": [], "query_string": b"", "server": ("h", 1)})
        known = {"wanted": ExitFilter(), "reasons": (), "statuses": (), "ages": ()}
        answer = await pages.arriving(request, Session("c", token="t"), "exits.html", ask, **known)
        assert isinstance(answer, StreamingResponse)
        return [(str(part), bool(asked)) async for part in answer.body_iterator]

    (first, asked_before), (rest, _) = asyncio.run(parts())
    assert not asked_before and "<h1>Exits</h1>" in first
    assert "THE ROWS" in rest and "<h1>" not in rest and rest.rstrip().endswith("</html>")


def test_a_page_that_fails_after_its_first_part_says_so(
    operator: Browser, apis: FakeApis, caplog: pytest.LogCaptureFixture
) -> None:
    apis.answers["GET exit /exits/pending"] = {"items": [{"not": "an exit"}], "next": None}
    html = operator.get("/exits").text
    assert "The rest of this page failed." in html and html.rstrip().endswith("</html>")
    assert "/exits failed after its first part" in caplog.text and "UndefinedError" in caplog.text


def test_the_rows_are_rendered_only_when_the_list_has_changed() -> None:
    first, second = intent(), intent()
    older = {**first, "age_ms": first["age_ms"] + 1000}
    answers = iter([page(first), page(older), page(older, second), page(second)])
    rendered: list[int] = []

    async def ask() -> Answer:
        return Answer(next(answers))

    def rows(answer: Answer) -> Fragments:
        rendered.append(len(answer.items()))
        return {"rows": f"rows {len(rendered)}"}

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

    assert asyncio.run(all_of()) == ["retry: 10000\n\n", event("rows", "a", state_of({"rows": "a"}))]


def test_the_page_counts_pending_exits_by_status(operator: Browser, apis: FakeApis) -> None:
    counts = {"total": 10_012, "by_status": {"PENDING": 10_000, "PLACED": 12}, "is_whole": True}
    apis.answers["GET exit /exits/pending"] = {**page(intent()), "counts": counts}
    html = operator.get("/exits?symbol=nse:infy").text
    for text in ("10,012 exits", "10,000 pending", "12 placed", "symbol=NSE%3AINFY&amp;status=PLACED"):
        assert text in html
    html = operator.get("/exits?status=PLACED").text
    assert 'href="/exits?view=pending" aria-current="true">12 placed' in html


def test_more_exits_than_are_counted_are_said_to_be_more(operator: Browser, apis: FakeApis) -> None:
    counts = {"total": 20_000, "by_status": {}, "is_whole": False}
    apis.answers["GET exit /exits/pending"] = {**page(intent()), "counts": counts}
    assert "More than 20,000 exits" in operator.get("/exits").text


def test_browser_without_session_is_told_not_to_stream_again(browser: Browser) -> None:
    assert browser.get("/exits/stream").status_code == 204


def test_the_rows_change_only_when_an_exit_does(operator: Browser, apis: FakeApis) -> None:
    one = intent()
    apis.answers["GET exit /exits/pending"] = page(one)
    first = operator.get("/exits").text
    apis.answers["GET exit /exits/pending"] = page({**one, "age_ms": 99_000})
    assert operator.get("/exits").text == first
