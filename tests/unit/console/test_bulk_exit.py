"""Exits of every trade of a filter."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from services.console.bulk_changes import POSITIONS_SHOWN
from services.console.pages.bulk_exit import exit_consequences
from services.exit_qualification.api.views import BulkExit, BulkExitAnswer
from shared.ids import new_id
from tests.unit.console.conftest import Browser
from tests.unit.console.fake_apis import FakeApis, Json, problem

BULK = "POST exit /exits/bulk"


def item(**changes: Any) -> Json:
    """Return a trade of a bulk exit."""
    return {
        "trade_id": str(new_id()), "symbol": "NSE:INFY", "direction": "LONG", "product_type": "MIS",
        "user_broker_id": "paper", "quantity": 100, "skipped": None, "intent_id": None, **changes,
    }  # fmt: skip


def found(*items: Json) -> Json:
    """Return the API's answer to a dry run."""
    return {"dry_run": True, "exits": sum(each["skipped"] is None for each in items), "items": list(items)}


MANY = found(
    *(item() for _ in range(14)),
    item(direction="SHORT", quantity=30),
    item(skipped="exit_in_progress"),
    item(skipped="exit_in_progress"),
    item(skipped="newer_code"),
)


def bodies(apis: FakeApis) -> list[Json]:
    """Return the bodies of the requests for bulk exits."""
    return [json.loads(request.content) for request in apis.asked if request.url.path == "/exits/bulk"]


def test_the_answers_here_are_those_of_the_api() -> None:
    BulkExitAnswer.model_validate(MANY)


def test_the_preview_is_the_dry_run_of_the_filter(operator: Browser, apis: FakeApis) -> None:
    apis.answers[BULK] = MANY
    html = operator.get("/exits/bulk?symbol=nse:infy&product_type=MIS&user_broker_id=paper").text
    assert bodies(apis) == [
        {
            "symbol": "NSE:INFY",
            "product_type": "MIS",
            "user_broker_id": "paper",
            "reason_note": "preview",
            "dry_run": True,
        }
    ]
    for text in (
        "Exit every trade of NSE:INFY, MIS, account paper",
        "Exits 15 trades: sells 1,400 shares and buys back 30 shares.",
        "Sells 1,400 NSE:INFY (MIS) on account paper, in 14 trades.",
        "Buys back 30 NSE:INFY (MIS) on account paper.",
        "Skips 2 trades: an exit is in progress.",
        "Skips 1 trade: newer_code.",
        "<code>exit 15</code>",
    ):
        assert text in html


def test_a_long_list_is_cut_and_counted() -> None:
    many = (item(symbol=f"NSE:S{number // 2}") for number in range(2 * POSITIONS_SHOWN + 5))
    sentences = exit_consequences(found(*many))
    assert sum(text.startswith("Sells 200 NSE:S") and text.endswith("in 2 trades.") for text in sentences) == (
        POSITIONS_SHOWN
    )
    assert "5 more trades in the same way." in sentences


def test_without_a_filter_only_the_filter_is_asked_for(operator: Browser, apis: FakeApis) -> None:
    html = operator.get("/exits/bulk").text
    assert 'name="product_type"' in html and 'name="reason"' not in html
    assert apis.asked == []


def test_the_trades_are_exited_after_the_count_was_typed(operator: Browser, apis: FakeApis) -> None:
    apis.answers[BULK] = MANY
    sent = {"symbol": "NSE:INFY", "reason": "flatten", "key": "one-key"}
    assert "Type exit 15 exactly." in operator.send("/exits/bulk", word="exit", **sent).text
    assert [body["dry_run"] for body in bodies(apis)] == [True]
    answer = operator.send("/exits/bulk", word="exit 15", **sent)
    assert answer.headers["location"] == "/exits"
    BulkExit.model_validate(apis.last_body())
    assert apis.last_body() == {"symbol": "NSE:INFY", "reason_note": "flatten", "dry_run": False}
    assert apis.asked[-1].headers["idempotency-key"] == "one-key"
    apis.answers["GET exit /exits/pending"] = {"items": [], "next": None}
    assert "Manual exits of 15 trades accepted. 3 trades skipped." in operator.get("/exits").text


def test_a_trade_more_than_was_shown_stops_the_exit(operator: Browser, apis: FakeApis) -> None:
    apis.answers[BULK] = found(*(item() for _ in range(3)))
    answer = operator.send("/exits/bulk", symbol="NSE:INFY", reason="flatten", word="exit 2", key="k")
    assert answer.status_code == 422
    assert "Exits 3 trades" in answer.text and "Type exit 3 exactly." in answer.text
    assert [body["dry_run"] for body in bodies(apis)] == [True]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (found(), "No open trade meets the filter."),
        (found(item(skipped="row_held")), "No trade is exited. Skips 1 trade: another transaction holds it"),
    ],
)
def test_a_filter_that_exits_nothing_has_no_form(operator: Browser, apis: FakeApis, answer: Json, text: str) -> None:
    apis.answers[BULK] = answer
    html = operator.get("/exits/bulk?user_broker_id=paper").text
    assert text in html and 'name="reason"' not in html


def test_a_filter_that_the_api_refuses_can_be_corrected(operator: Browser, apis: FakeApis) -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        return problem(422, "invalid_input", "more than 1000 trades; narrow the filter")

    apis.answers[BULK] = refuse
    answer = operator.get("/exits/bulk?product_type=CNC&symbol=nse:tcs")
    assert answer.status_code == 422
    assert (
        "narrow the filter" in answer.text
        and 'value="NSE:TCS"' in answer.text
        and 'value="CNC" selected>CNC' in answer.text
    )


def test_a_reader_asks_for_nothing_and_sends_nothing(reader: Browser, apis: FakeApis) -> None:
    assert "Your token may only read." in reader.get("/exits/bulk?symbol=NSE:INFY").text
    assert reader.send("/exits/bulk", symbol="NSE:INFY", reason="flatten", word="exit 15").status_code == 403
    assert apis.asked == []
