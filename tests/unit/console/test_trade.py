"""The page of a trade, and the forced exit."""

from __future__ import annotations

import asyncio
import itertools
import re
from datetime import UTC, datetime

import pytest
from starlette.types import Message, Scope

from services.console.charts import price_chart
from services.console.trade_story import story
from services.console.wording import money
from shared.ids import new_id
from tests.unit.console.conftest import Browser
from tests.unit.console.fake_apis import AT, FakeApis, Json, explanation, intent, page, problem, rule, trade

STEPS = {
    "detected_at": "2026-01-13T05:00:10.000Z",
    "created_at": "2026-01-13T05:00:10.004Z",
    "submitted_at": "2026-01-13T05:00:10.020Z",
    "placed_at": "2026-01-13T05:00:10.120Z",
    "filled_at": "2026-01-13T05:00:11.120Z",
    "ended_at": "2026-01-13T05:00:11.120Z",
}


def closed_trade() -> tuple[Json, Json, Json]:
    """Return a closed trade, its exit and its timeline."""
    one = trade(
        status="CLOSED", open_quantity=0, exit_price="989.00", exit_reason="STOP_LOSS", gross_pnl="-1100.00",
        charges="12.50", net_pnl="-1112.50", closed_at="2026-01-13T05:00:11.300Z",
    )  # fmt: skip
    gates = [{"gate": "TRADE_OPEN", "verdict": "PASS", "detail": {}}]
    exit_ = intent(
        trade_id=one["trade_id"], status="FILLED", filled_quantity=100, average_price="989.00", gates=gates,
        broker_order_id="B1", **STEPS,
    )  # fmt: skip
    step = {"price": "989.00", "quantity": 100, "exit_reason": "STOP_LOSS", "exit_intent_id": exit_["intent_id"]}
    timeline = {
        "items": [
            {"kind": "OPENED", "at": AT, "quantity": 100, "price": "1000.00"},
            {"kind": "FILL", "at": "2026-01-13T05:00:11.100Z", "late": False, **step},
            {"kind": "CLOSURE", "at": "2026-01-13T05:00:11.300Z", "final": True, "net_pnl": "-1112.50",
             "gross_pnl": "-1100.00", "charges": "12.50", "lines": {}, **step},
        ]
    }  # fmt: skip
    return one, exit_, timeline


def detection(exit_: Json) -> Json:
    """Return the entry of an explanation's timeline that tells when an exit was detected."""
    detail = {"price": exit_["detected_price"], "signal_id": exit_["signal_id"]}
    return {"at": exit_.get("detected_at", AT), "step": "DETECTED", "intent_id": None, "detail": detail}


def serve(apis: FakeApis, one: Json, *exits: Json, timeline: Json | None = None) -> None:
    """Let the APIs know the trade, its exits, rollout and account."""
    apis.answers |= {
        f"GET trade /trades/{one['trade_id']}": one,
        f"GET trade /trades/{one['trade_id']}/timeline": timeline or page(),
        "GET exit /exits": page(
            *({name: value for name, value in each.items() if name != "detected_at"} for each in exits)
        ),
        "GET exit /protective-stops": page(),
        f"GET exit /exits/why/{one['trade_id']}": explanation(
            *([rule()] if one["status"] == "OPEN" else []), timeline=[detection(each) for each in exits]
        ),
        "GET exit /rollout": {"mode": "full"},
        "GET exit /brokers/paper": {"user_broker_id": "paper", "status": "CONNECTED"},
    }


def test_each_exit_of_a_trade_links_to_its_trace(operator: Browser, apis: FakeApis) -> None:
    one, exit_, timeline = closed_trade()
    serve(apis, one, exit_, timeline=timeline)
    html = operator.get(f"/trades/{one['trade_id']}").text
    assert f'href="https://traces.example/t/{exit_["signal_id"].replace("-", "")}?view=all"' in html


def test_story_tells_each_step_in_order_with_hop_time() -> None:
    one, exit_, timeline = closed_trade()
    told = [(step.sentence, step.took) for step in story(one, timeline["items"], [exit_])]
    assert told == [
        ("Opened long: 100 NSE:INFY at 1,000.00 on account paper.", ""),
        ("A tick of 989.50 arrived and reached the level 990.00: stop loss.", ""),
        ("Stop loss exit written; its 1 gate passed.", "4 ms"),
        ("An order for 100 was handed to paper.", "16 ms"),
        ("The broker has the order as B1.", "100 ms"),
        ("The broker filled 100 at 989.00.", ""),
        ("exit-orders recorded 100 at 989.00 on average.", "1.0 s"),
        (f"Trade closed at 989.00: net {money('-1112.50')} after charges of 12.50.", ""),
    ]


def test_whole_second_broker_times_keep_step_order() -> None:
    one, exit_, timeline = closed_trade()
    whole = [{**item, "at": "2026-01-13T05:00:10.000Z"} for item in timeline["items"]]
    right_order = [step.sentence for step in story(one, timeline["items"], [exit_])]
    assert [step.sentence for step in story(one, whole, [exit_])] == right_order


def test_a_waiting_and_a_failed_exit_say_why() -> None:
    waiting = intent()
    failed = intent(status="FAILED", error_code="ORDER_REJECTED", error_message="no margin", ended_at=AT, gates=[])
    sentences = [step.sentence for step in story(trade(), [], [waiting, failed])]
    assert "Stop loss exit written; it waits for kill switch." in sentences
    assert "Stop loss exit ended as failed (Order rejected: no margin)." in sentences


def test_an_exit_held_for_a_time_says_until_when() -> None:
    held = {"until": AT, "detail": {"mode": "ALL"}}
    released = intent(gates=[{"gate": "KILL_SWITCH", "verdict": "PASS", "detail": {}, "held": held}])
    sentences = [step.sentence for step in story(trade(), [], [released])]
    assert "Stop loss exit written; it waited for kill switch." in sentences
    assert "Kill switch let the exit go on." in sentences


def test_the_page_shows_steps_chart_and_exits(operator: Browser, apis: FakeApis) -> None:
    one, exit_, timeline = closed_trade()
    serve(apis, one, exit_, timeline=timeline)
    html = operator.get(f"/trades/{one['trade_id']}").text
    for text in (
        "Trade closed at 989.00",
        "A tick of 989.50",
        "after 4 ms",
        "<svg",
        "Stop loss 990.00",
        "Target 1,010.00",
        "B1",
    ):
        assert text in html
    assert "Force exit" not in html


def test_the_page_shows_the_legs_of_a_ladder(operator: Browser, apis: FakeApis) -> None:
    legs = [{"price": "1010.00", "quantity": 50}, {"price": "1020.00", "quantity": 50}]
    plan = {"targets": legs, "after_leg": {"1": {"stop": "break_even"}}, "stop_loss": "990.00"}
    one = trade(exit_plan=plan)
    exit_ = intent(trade_id=one["trade_id"], exit_reason="TARGET", leg=2)
    serve(apis, one, exit_, timeline={"items": []})
    html = operator.get(f"/trades/{one['trade_id']}").text
    for text in (
        "1,010.00 for 50, 1,020.00 for 50",
        "1 stop break_even",
        "Target 2 1,020.00",
        "Target, leg 2",
    ):
        assert text in html


def test_the_chart_keeps_every_point_and_label_inside(operator: Browser) -> None:
    one, exit_, _ = closed_trade()
    chart = price_chart(one, [exit_], datetime(2026, 1, 13, 6, tzinfo=UTC))
    assert {level.name for level in chart.levels} == {"Entry", "Target", "Stop loss"}
    for point in chart.points:
        assert chart.left <= point.x <= chart.right and 0 <= point.y <= chart.height
    labels = sorted(level.label_y for level in chart.levels)
    assert all(b - a >= 15 for a, b in itertools.pairwise(labels))


def test_open_trade_shows_last_price_and_nearest_level(operator: Browser, apis: FakeApis) -> None:
    one = trade()
    serve(apis, one)
    tick = {"price": "1008.00", "at": AT, "arrived_at": AT, "age_ms": 1200, "ticks": 3}
    apis.answers[f"GET exit /exits/why/{one['trade_id']}"] = explanation(rule(), last_tick=tick)
    html = operator.get(f"/trades/{one['trade_id']}").text
    assert "1,008.00" in html and "2.00 (0.20%) to target" in html and "Last price" in html


def test_an_open_trade_without_a_tick_shows_no_last_price(operator: Browser, apis: FakeApis) -> None:
    one = trade()
    serve(apis, one)
    apis.answers[f"GET exit /exits/why/{one['trade_id']}"] = explanation(rule(), last_tick=None)
    answer = operator.get(f"/trades/{one['trade_id']}")
    assert answer.status_code == 200 and "Last price" not in answer.text


def test_trade_page_asks_four_times_whatever_its_exits(operator: Browser, apis: FakeApis) -> None:
    one = trade()
    serve(apis, one, *(intent(trade_id=one["trade_id"]) for _ in range(9)))
    apis.asked.clear()
    operator.get(f"/trades/{one['trade_id']}")
    assert len(apis.asked) == 4


def test_trade_page_without_exit_api_shows_trade_and_says_so(operator: Browser, apis: FakeApis) -> None:
    one, exit_, timeline = closed_trade()
    serve(apis, one, exit_, timeline=timeline)
    apis.down = {"exit"}
    html = operator.get(f"/trades/{one['trade_id']}").text
    assert "exit-api cannot be reached" in html and "Trade closed" in html


def test_without_trade_api_the_exits_are_shown(operator: Browser, apis: FakeApis) -> None:
    one, exit_, _ = closed_trade()
    serve(apis, one, exit_)
    apis.down = {"trade"}
    answer = operator.get(f"/trades/{one['trade_id']}")
    assert answer.status_code == 200
    assert "trade-api cannot be reached" in answer.text and "Filled" in answer.text


def test_a_trade_that_does_not_exist_is_said_so(operator: Browser) -> None:
    answer = operator.get(f"/trades/{new_id()}")
    assert "not found" in answer.text and "check the id" in answer.text


def test_an_unknown_trade_is_404_before_anything_else_is_asked(operator: Browser, apis: FakeApis) -> None:
    path = f"/trades/{new_id()}"
    assert operator.get(path).status_code == 404
    assert [request.url.path for request in apis.asked] == [path]


def test_head_of_a_trade_is_sent_before_its_explanation(operator: Browser, apis: FakeApis) -> None:
    one = trade(symbol="NSE:TCS")
    serve(apis, one)
    sent: list[tuple[bytes, int]] = []

    async def send(message: Message) -> None:
        sent.append((message.get("body", b""), len(apis.asked)))

    path = f"/trades/{one['trade_id']}"
    cookies = "; ".join(f"{name}={value}" for name, value in operator.http.cookies.items())
    scope: Scope = {
        "type": "http",
        "http_version": "1.1",
        "scheme": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": [(b"cookie", cookies.encode())],
    }

    async def answer() -> None:
        await operator.http.app(scope, _nothing_received, send)

    asyncio.run(answer())
    head, asked = next((body, asked) for body, asked in sent if body)
    assert b"<h1>NSE:TCS</h1>" in head and b"From opening to close" not in head
    assert asked == 1


async def _nothing_received() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


def test_exit_id_search_leads_to_its_trade(operator: Browser, apis: FakeApis) -> None:
    one = intent()
    apis.answers[f"GET exit /exits/{one['intent_id']}"] = one
    assert operator.get(f"/find?id={one['intent_id']}").headers["location"] == f"/trades/{one['trade_id']}"
    other = new_id()
    assert operator.get(f"/find?id={other}").headers["location"] == f"/trades/{other}"
    apis.answers |= {"GET exit /exits": page(), "GET exit /protective-stops": page()}
    nothing = operator.get("/find?id=nothing")
    assert nothing.status_code == 404 and "No trade, exit or order has the id nothing." in nothing.text


def test_order_id_search_leads_to_its_trade(operator: Browser, apis: FakeApis) -> None:
    sent, held = intent(), intent()
    apis.answers |= {"GET exit /exits": page(sent), "GET exit /protective-stops": page()}
    assert operator.get("/find?id=B7").headers["location"] == f"/trades/{sent['trade_id']}"
    assert apis.asked[-2].url.params["order_id"] == apis.asked[-1].url.params["order_id"] == "B7"
    apis.answers |= {"GET exit /exits": page(), "GET exit /protective-stops": page(held)}
    assert operator.get("/find?id=B7").headers["location"] == f"/trades/{held['trade_id']}"
    assert "standing" not in apis.asked[-1].url.params  # ended ones are found too
    apis.down = {"exit"}
    assert "exit-api cannot be reached" in operator.get("/find?id=B7").text


def test_symbol_search_leads_to_its_exits(operator: Browser) -> None:
    assert operator.get("/find?id=nse:infy").headers["location"] == "/exits?view=all&symbol=NSE%3AINFY"


def test_the_preview_says_what_a_forced_exit_does(operator: Browser, apis: FakeApis) -> None:
    one = trade(direction="SHORT")
    serve(apis, one, intent(trade_id=one["trade_id"]))
    html = operator.get(f"/trades/{one['trade_id']}/exit").text
    for text in ("Buys back 100 NSE:INFY (MIS) on account paper.", "Replaces the waiting stop loss exit."):
        assert text in html
    assert [request.method for request in apis.asked].count("POST") == 0


@pytest.mark.parametrize(
    ("changes", "status", "text"),
    [({"status": "CLOSED"}, "PENDING", "The trade is closed."), ({}, "PLACED", "already at the broker (placed)")],
)
def test_a_trade_that_cannot_be_exited_has_no_form(
    operator: Browser, apis: FakeApis, changes: Json, status: str, text: str
) -> None:
    one = trade(**changes)
    serve(apis, one, intent(trade_id=one["trade_id"], status=status))
    html = operator.get(f"/trades/{one['trade_id']}/exit").text
    assert text in html and 'name="reason"' not in html


def test_confirmed_exit_is_sent_once_with_form_key(operator: Browser, apis: FakeApis) -> None:
    one = trade()
    path = f"/trades/{one['trade_id']}/exit"
    serve(apis, one)
    apis.answers["POST exit /exits"] = intent(exit_reason="MANUAL", status="APPROVED")
    key = re.search(r'name="key" value="([^"]+)"', operator.get(path).text)
    assert key
    answer = operator.send(path, reason="flatten", key=key[1])
    assert answer.headers["location"] == f"/trades/{one['trade_id']}"
    assert apis.last_body() == {"trade_id": one["trade_id"], "reason_note": "flatten"}
    assert apis.asked[-1].headers["idempotency-key"] == key[1]
    html = operator.get(f"/trades/{one['trade_id']}").text
    assert "Manual exit of 100 NSE:INFY accepted." in html
    assert "accepted." not in operator.get(f"/trades/{one['trade_id']}").text


def test_a_refused_exit_keeps_what_was_written(operator: Browser, apis: FakeApis) -> None:
    one = trade()
    path = f"/trades/{one['trade_id']}/exit"
    serve(apis, one)
    apis.answers["POST exit /exits"] = lambda _: problem(409, "not_executable", "the rollout does not execute it")
    answer = operator.send(path, reason="flatten now")
    assert answer.status_code == 422
    assert "the rollout does not execute it" in answer.text and 'value="flatten now"' in answer.text
    assert "Write the reason." in operator.send(path, reason=" ").text
