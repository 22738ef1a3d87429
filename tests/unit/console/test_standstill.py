"""Whether anything stands still, on the page System."""

from __future__ import annotations

from datetime import timedelta

from services.console.readiness import Readiness
from services.console.standstill import LONG_S, Standing
from services.console.wording import instant
from tests.unit.console.conftest import Browser
from tests.unit.console.fake_apis import AT, FakeApis, Json, intent, outbox, page, stop, trade
from tests.unit.console.test_book_outbox_system import serve_system

COUNTS: Json = {"total": 2, "by_status": {"PENDING": 2}, "is_whole": True}
LATER = instant(AT) + timedelta(seconds=200)
QUIET = outbox(backlog=0, oldest_age_s=None, parked=0)


def standing(**changes: object) -> Standing:
    """Return a system at rest, with these changes."""
    rest = {"processes": [], "pending": {**page(), "counts": {**COUNTS, "total": 0}},
            "outboxes": {"Exit qualification": QUIET}, "missing": page()}  # fmt: skip
    return Standing(**{**rest, **changes})  # type: ignore[arg-type]  # named by the caller


def told(**changes: object) -> list[str]:
    """Return the sentences of a system with these changes."""
    return [sign.sentence for sign in standing(**changes).signs(LATER)]


def test_a_system_at_rest_shows_no_sign() -> None:
    assert told() == []


def test_a_process_that_is_not_ready_says_why() -> None:
    processes = [Readiness("relay", "ready", []), Readiness("exit-ticks", "not ready", ["ticks: no progress for 20 s"]),
                 Readiness("exit-orders", "no answer", ["ConnectError"])]  # fmt: skip
    assert told(processes=processes) == [
        "exit-ticks is not ready: ticks: no progress for 20 s.",
        "exit-orders is without an answer: ConnectError.",
    ]


def test_late_exits_name_the_obstacle_of_the_oldest() -> None:
    assert told(pending={**page(intent()), "counts": COUNTS}) == [
        "2 exits pending, the oldest (NSE:INFY) for 3 m 20 s: kill switch."
    ]
    young = (LATER - timedelta(seconds=LONG_S)).isoformat()
    assert told(pending={**page(intent(created_at=young)), "counts": COUNTS}) == []
    many = {"total": 20_000, "by_status": {}, "is_whole": False}
    unknown = intent(status="UNKNOWN", gates=[])
    assert told(pending={**page(unknown), "counts": many})[0].startswith("More than 20,000 exits pending")


def test_late_and_parked_events_are_signs() -> None:
    late = outbox(backlog=14, oldest_age_s=75.0, parked=3)
    assert told(outboxes={"Exit qualification": late}) == [
        "Exit qualification: 14 events to be sent, the oldest for 1 m 15 s.",
        "Exit qualification: 3 events parked.",
    ]


def test_trades_without_their_stop_are_counted() -> None:
    missing = page({**trade(), "stop": stop(status="FAILED")}, next="more")
    assert told(missing=missing) == ["More than 1 trade without the protective stop of the plan."]


def test_the_page_answers_whether_anything_is_stuck(operator: Browser, apis: FakeApis) -> None:
    serve_system(apis)
    assert "No exit waits longer than a minute." in operator.get("/system").text
    apis.answers["GET exit /exits/pending"] = {**page(intent()), "counts": COUNTS}
    html = operator.get("/system").text
    assert "2 exits pending, the oldest (NSE:INFY) for" in html and 'href="/exits?older_than_s=60"' in html


def test_an_answer_that_is_missing_is_no_good_sign(operator: Browser, apis: FakeApis) -> None:
    serve_system(apis)
    apis.down = {"trade"}
    html = operator.get("/system").text
    assert "Not everything answered; see above." in html and "No exit waits" not in html
