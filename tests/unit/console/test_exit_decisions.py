"""Changes of exits: resolve, withdraw."""

from __future__ import annotations

import pytest

from services.console.pages.exit_decisions import fill_of
from services.exit_qualification.api.views import ResolveExit, WithdrawExit
from tests.unit.console.conftest import Browser
from tests.unit.console.fake_apis import AT, FakeApis, Json, intent, page, problem

NOTE = "read at the broker's desk"


def known(apis: FakeApis, **changes: object) -> Json:
    """Let exit-api know one exit; return it."""
    one = intent(**changes)
    apis.answers[f"GET exit /exits/{one['intent_id']}"] = one
    return one


@pytest.mark.parametrize(
    ("status", "offered"),
    [
        ("PENDING", "withdraw"),
        ("APPROVED", "withdraw"),
        ("UNKNOWN", "resolve"),
        ("PLACED", "resolve"),
        ("PARTIALLY_FILLED", "resolve"),
        ("SUBMITTING", ""),
        ("FILLED", ""),
    ],
)
def test_the_list_offers_the_decision_that_the_status_allows(
    operator: Browser, apis: FakeApis, status: str, offered: str
) -> None:
    one = intent(status=status, ended_at=AT if status == "FILLED" else None)
    apis.answers["GET exit /exits"] = page(one)
    html = operator.get("/exits?view=all").text
    assert [name for name in ("withdraw", "resolve") if f"/exits/{one['intent_id']}/{name}" in html] == [
        name for name in (offered,) if name
    ]


def test_reader_sees_preview_without_form_and_sends_nothing(reader: Browser, apis: FakeApis) -> None:
    one = known(apis)
    path = f"/exits/{one['intent_id']}/withdraw"
    assert 'name="reason"' not in reader.get(path).text
    assert reader.send(path, reason=NOTE, key="k").status_code == 403
    assert [request.method for request in apis.asked] == ["GET"]


def test_a_form_of_another_site_changes_nothing(operator: Browser, apis: FakeApis) -> None:
    one = known(apis)
    for name in ("withdraw", "resolve"):
        answer = operator.http.post(f"/exits/{one['intent_id']}/{name}", data={"csrf": "guessed", "reason": NOTE})
        assert answer.status_code == 403
    assert apis.asked == []


def test_an_unsent_exit_is_withdrawn_after_the_preview(operator: Browser, apis: FakeApis) -> None:
    one = known(apis)
    path = f"/exits/{one['intent_id']}/withdraw"
    html = operator.get(path).text
    assert "Cancels the stop loss exit of 100 NSE:INFY on account paper. No order was sent." in html
    apis.answers[f"POST exit {path}"] = {**one, "status": "CANCELLED"}
    answer = operator.send(path, reason=NOTE, key="one-key")
    assert answer.headers["location"] == f"/trades/{one['trade_id']}"
    WithdrawExit.model_validate(apis.last_body())
    assert apis.last_body() == {"reason": NOTE}
    assert apis.asked[-1].headers["idempotency-key"] == "one-key"


def test_console_keeps_exit_sent_meanwhile_and_says_so(operator: Browser, apis: FakeApis) -> None:
    one = known(apis)
    path = f"/exits/{one['intent_id']}/withdraw"
    apis.answers[f"POST exit {path}"] = lambda _: problem(409, "conflict", "it was sent")
    answer = operator.send(path, reason=NOTE, key="k")
    assert answer.status_code == 422
    assert "it was sent" in answer.text and NOTE in answer.text.replace("&#39;", "'")
    apis.answers[f"GET exit /exits/{one['intent_id']}"] = {**one, "status": "PLACED"}
    assert "The exit is placed; only an unsent one is withdrawn." in operator.get(path).text


def test_fills_read_at_the_broker_are_recorded(operator: Browser, apis: FakeApis) -> None:
    one = known(apis, status="UNKNOWN")
    path = f"/exits/{one['intent_id']}/resolve"
    assert "Records the fills of the order for 100 NSE:INFY on account paper." in operator.get(path).text
    apis.answers[f"POST exit {path}"] = {**one, "status": "FILLED", "filled_quantity": 100}
    fills = "T1 40 989.50 2026-01-13 10:30:11\n\nT2 60 989.45 2026-01-13T05:00:12Z\n"
    sent = {"resolution": "filled", "word": "filled", "fills": fills, "broker_order_id": "B7", "reason": NOTE}
    answer = operator.send(path, key="k", **sent)
    assert answer.headers["location"] == f"/trades/{one['trade_id']}"
    ResolveExit.model_validate(apis.last_body())
    assert apis.last_body() == {
        "resolution": "filled",
        "reason": NOTE,
        "broker_order_id": "B7",
        "fills": [
            {"broker_trade_id": "T1", "quantity": 40, "price": "989.50", "filled_at": "2026-01-13T10:30:11+05:30"},
            {"broker_trade_id": "T2", "quantity": 60, "price": "989.45", "filled_at": "2026-01-13T05:00:12+00:00"},
        ],
    }


@pytest.mark.parametrize(
    "line",
    ["T1 40 989.50", "T1 x 989.50 2026-01-13 10:30", "T1 1 x 2026-01-13 10:30", "T1 1 2 2026-01-13", "T1 1 2 a:b"],
)
def test_malformed_fill_line_is_named_and_nothing_sent(operator: Browser, apis: FakeApis, line: str) -> None:
    one = known(apis, status="PLACED")
    path = f"/exits/{one['intent_id']}/resolve"
    fills = f"T0 1 2 2026-01-13 10:30\n{line}"
    answer = operator.send(path, resolution="filled", word="filled", reason=NOTE, key="k", fills=fills)
    assert answer.status_code == 422
    assert "Line 2 is not a fill." in answer.text and line in answer.text
    assert [request.method for request in apis.asked] == ["GET"]
    with pytest.raises(ValueError):
        fill_of(line)


@pytest.mark.parametrize(("resolution", "word"), [("failed", "failed"), ("not_placed", "not placed")])
def test_an_order_that_made_nothing_needs_its_outcome_typed(
    operator: Browser, apis: FakeApis, resolution: str, word: str
) -> None:
    one = known(apis, status="UNKNOWN")
    path = f"/exits/{one['intent_id']}/resolve"
    html = operator.get(f"{path}?resolution={resolution}").text
    assert "the shares are traded twice" in html and 'name="fills"' not in html
    sent = {"resolution": resolution, "reason": NOTE, "key": "k"}
    assert f"Type {word} exactly." in operator.send(path, word="filled", **sent).text
    apis.answers[f"POST exit {path}"] = {**one, "status": "FAILED"}
    assert operator.send(path, word=word, **sent).status_code == 303
    assert apis.last_body() == {"resolution": resolution, "reason": NOTE, "broker_order_id": None, "fills": []}


@pytest.mark.parametrize(
    ("changes", "query", "text"),
    [
        ({"status": "SUBMITTING"}, "", "The exit is being sent."),
        ({"status": "PENDING"}, "", "Withdraw it instead."),
        ({"status": "FILLED"}, "", "The exit has ended as filled."),
        ({"status": "PLACED", "broker_order_id": "B7"}, "?resolution=not_placed", "The broker has the order as B7"),
    ],
)
def test_an_exit_that_cannot_be_resolved_has_no_form(
    operator: Browser, apis: FakeApis, changes: Json, query: str, text: str
) -> None:
    one = known(apis, **changes)
    html = operator.get(f"/exits/{one['intent_id']}/resolve{query}").text
    assert text in html and 'name="reason"' not in html
