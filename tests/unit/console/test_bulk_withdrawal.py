"""Unsent exits of a filter withdrawn."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from services.exit_qualification.api.views import BulkWithdrawal, BulkWithdrawalAnswer
from shared.ids import new_id
from tests.unit.console.conftest import Browser
from tests.unit.console.fake_apis import FakeApis, Json, intent, page, problem

PATH = "/exits/withdraw/bulk"
WITHDRAW = f"POST exit {PATH}"
SENT = {"symbol": "NSE:INFY", "reason": "wrong plan", "key": "one-key"}


def item(**changes: Any) -> Json:
    """Return an exit of a bulk withdrawal."""
    return {
        "intent_id": str(new_id()), "trade_id": str(new_id()), "symbol": "NSE:INFY", "direction": "LONG",
        "product_type": "MIS", "user_broker_id": "paper", "exit_reason": "STOP_LOSS", "leg": None,
        "status": "PENDING", "executable": True, "quantity": 100, "skipped": None, **changes,
    }  # fmt: skip


def found(*items: Json) -> Json:
    """Return the API's answer to a dry run."""
    return {"dry_run": True, "withdrawn": sum(each["skipped"] is None for each in items), "items": list(items)}


TWO_LEGS = str(new_id())
MANY = found(
    *(item() for _ in range(4)),
    *(item(trade_id=TWO_LEGS, symbol="NSE:TCS", exit_reason="TARGET", leg=leg, quantity=30) for leg in (1, 2)),
    item(status="PLACED", skipped="already_sent"),
    item(skipped="row_held"),
)


def test_the_answers_here_are_those_of_the_api() -> None:
    BulkWithdrawalAnswer.model_validate(MANY)


def test_the_preview_is_the_dry_run_of_the_filter(operator: Browser, apis: FakeApis) -> None:
    apis.answers[WITHDRAW] = MANY
    html = operator.get(f"{PATH}?symbol=nse:infy&exit_reason=STOP_LOSS&user_broker_id=paper").text
    assert apis.last_body() == {
        "symbol": "NSE:INFY",
        "exit_reason": "STOP_LOSS",
        "user_broker_id": "paper",
        "reason": "preview",
        "dry_run": True,
    }
    for text in (
        "Withdraw unsent exits: NSE:INFY, stop loss, account paper",
        "Cancels 6 exits: 4 stop loss, 2 target. No order was sent for them.",
        "Keeps open 400 NSE:INFY (MIS) on account paper, in 4 trades.",
        "Keeps open 60 NSE:TCS (MIS) on account paper.",
        "Skips 1 exit: the order was sent.",
        "Skips 1 exit: another transaction holds it; try again.",
        "<code>withdraw 6</code>",
    ):
        assert text in html


def test_the_exits_are_withdrawn_after_the_count_was_typed(operator: Browser, apis: FakeApis) -> None:
    apis.answers[WITHDRAW] = MANY
    assert "Type withdraw 6 exactly." in operator.send(PATH, word="withdraw 5", **SENT).text
    assert apis.last_body()["dry_run"] is True
    answer = operator.send(PATH, word="withdraw 6", **SENT)
    assert answer.headers["location"] == "/exits"
    BulkWithdrawal.model_validate(apis.last_body())
    assert apis.last_body() == {"symbol": "NSE:INFY", "reason": "wrong plan", "dry_run": False}
    assert apis.asked[-1].headers["idempotency-key"] == "one-key"
    apis.answers["GET exit /exits/pending"] = page()
    assert "6 exits withdrawn. 2 exits skipped." in operator.get("/exits").text


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (found(), "No pending exit meets the filter."),
        (found(item(status="UNKNOWN", skipped="already_sent")), "No exit is withdrawn. Skips 1 exit: the order was"),
    ],
)
def test_a_filter_that_withdraws_nothing_has_no_form(
    operator: Browser, apis: FakeApis, answer: Json, text: str
) -> None:
    apis.answers[WITHDRAW] = answer
    html = operator.get(f"{PATH}?user_broker_id=paper").text
    assert text in html and 'name="reason"' not in html


def test_a_filter_that_the_api_refuses_can_be_corrected(operator: Browser, apis: FakeApis) -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        return problem(422, "invalid_input", "more than 1000 exits; narrow the filter")

    apis.answers[WITHDRAW] = refuse
    answer = operator.get(f"{PATH}?exit_reason=TARGET&symbol=nse:tcs")
    assert answer.status_code == 422
    assert "narrow the filter" in answer.text and 'value="NSE:TCS"' in answer.text
    assert 'value="TARGET" selected>Target' in answer.text


def test_the_list_leads_to_the_withdrawal_of_what_it_shows(operator: Browser, apis: FakeApis) -> None:
    counts = {"total": 1, "by_status": {"PENDING": 1}, "is_whole": True}
    apis.answers["GET exit /exits/pending"] = {**page(intent()), "counts": counts}
    html = operator.get("/exits?symbol=NSE:INFY&exit_reason=STOP_LOSS&older_than_s=60").text
    assert f'href="{PATH}?symbol=NSE%3AINFY&amp;exit_reason=STOP_LOSS"' in html
    assert f'href="{PATH}"' in operator.get("/exits").text


def test_a_reader_asks_for_nothing_and_sends_nothing(reader: Browser, apis: FakeApis) -> None:
    assert "Your token may only read." in reader.get(f"{PATH}?symbol=NSE:INFY").text
    assert reader.send(PATH, word="withdraw 6", **SENT).status_code == 403
    assert apis.asked == []
