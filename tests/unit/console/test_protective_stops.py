"""Protective stops on the pages Trade, Book and Exits."""

from __future__ import annotations

import pytest

from services.console.stop_story import stop_steps
from shared.ids import new_id
from tests.unit.console.conftest import Browser
from tests.unit.console.fake_apis import AT, FakeApis, Json, explanation, page, problem, stop, trade
from tests.unit.console.test_book_outbox_system import PNL
from tests.unit.console.test_trade import closed_trade, serve

STOPS = "GET exit /protective-stops"
UNSENT: Json = {"submitted_at": None, "armed_at": None, "broker_order_id": None, "status": "WANTED"}
SHORT: Json = {"error_code": "POSITION_SHORT", "error_message": "the account holds less than its open trades need"}
ENDED: Json = {"status": "CANCELLED", "ended_at": "2026-01-13T05:10:00.000Z"}


def sentences(one: Json) -> list[str]:
    """Return the sentences about a stop."""
    return [step.sentence for step in stop_steps(one)]


def listed(apis: FakeApis) -> dict[str, str]:
    """Return the query of the list of stops."""
    (asked,) = (each for each in apis.asked if each.url.path == "/protective-stops")
    return dict(asked.url.params)


def test_stop_history_shows_time_of_each_hop() -> None:
    assert [(step.sentence, step.took) for step in stop_steps(stop())] == [
        ("A stop order for 100 at 988.00 was handed to paper.", "100 ms"),
        ("The broker holds the stop order for 100 at 988.00 as B7.", "300 ms"),
    ]


def test_changed_order_is_stated_without_time_since_placement() -> None:
    assert [(step.sentence, step.took) for step in stop_steps(stop(changes=2))] == [
        ("A stop order was handed to paper.", "100 ms"),
        ("The broker holds the changed stop order for 100 at 988.00 as B7.", ""),
    ]


def test_unplaced_stop_says_what_it_waits_for() -> None:
    assert sentences(stop(**UNSENT)) == ["A protective stop for 100 at 988.00 is to be placed."]
    (waiting,) = sentences(stop(**UNSENT, **SHORT))
    assert waiting.endswith("is to be placed; it waits: the account holds less than its open trades need.")
    assert sentences(stop(**{**UNSENT, **ENDED}, end_reason="EXIT")) == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (ENDED | {"end_reason": "EXIT"}, "The protective stop was cancelled: another exit had to be sent."),
        (
            ENDED | {"end_reason": "RENEWED"},
            "The protective stop was cancelled after many changes of its order; another takes its place.",
        ),
        (ENDED | {"end_reason": "DAY_ENDED"}, "The protective stop ended with the trading day."),
        (ENDED | {"end_reason": "SOMETHING_NEW"}, "The protective stop ended (Something new)."),
        (ENDED | {"status": "TRIGGERED"}, "The market reached 988.00: the stop order is the exit."),
        (
            ENDED | {"status": "TRIGGERED", "end_reason": "NOTHING_LEFT"},
            "The protective stop was triggered when nothing of the trade was left. Check the position.",
        ),
        (
            ENDED | {"status": "FAILED", "end_reason": "REJECTED_BY_BROKER", "error_message": "RMS: no margin"},
            "The protective stop failed: the broker refused the order: RMS: no margin.",
        ),
        (
            ENDED | {"status": "FAILED", "end_reason": "NEVER_PLACED"},
            "The protective stop failed: the order never reached the broker.",
        ),
    ],
)
def test_the_end_of_a_stop_is_a_sentence(changes: Json, sentence: str) -> None:
    assert sentences(stop(**changes))[-1] == sentence


def test_trade_shows_every_stop_as_step_and_last_stop_apart(operator: Browser, apis: FakeApis) -> None:
    one, exit_, timeline = closed_trade()
    serve(apis, one, exit_, timeline=timeline)
    failed = stop(**ENDED | {"status": "FAILED", "end_reason": "NEVER_PLACED", "broker_order_id": None})
    apis.answers[STOPS] = page(stop(), failed)
    apis.answers[f"GET exit /exits/why/{one['trade_id']}"] = explanation(protective_stop=stop())
    html = operator.get(f"/trades/{one['trade_id']}").text
    for text in (
        "The broker holds the stop order for 100 at 988.00 as B7.",
        "the order never reached the broker.",
        "Trade closed at 989.00",
        "The broker holds it with these terms.",
        "<code>B7</code>",
        "S" * 20,
    ):
        assert text in html
    (asked,) = [request.url.params for request in apis.asked if request.url.path == "/protective-stops"]
    assert asked["trade_ids"] == one["trade_id"]


def test_a_trade_without_a_stop_says_nothing_of_it(operator: Browser, apis: FakeApis) -> None:
    one = trade()
    serve(apis, one)
    assert "Protective stop" not in operator.get(f"/trades/{one['trade_id']}").text


def test_the_book_shows_the_stop_of_each_open_trade(operator: Browser, apis: FakeApis) -> None:
    one, waits, bare = trade(), trade(), trade()
    apis.answers |= {
        "GET trade /pnl": PNL,
        "GET trade /trades": page(one, waits, bare),
        STOPS: page(stop(trade_id=one["trade_id"]), stop(trade_id=waits["trade_id"], **UNSENT, **SHORT)),
    }
    html = operator.get("/book").text
    assert html.count("Broker's stop") == 4
    for text in ("988.00", "Armed", "Wanted", "Position short", '<span class="quiet">none</span>'):
        assert text in html
    (asked,) = [request.url.params for request in apis.asked if request.url.path == "/protective-stops"]
    assert asked["trade_ids"] == ",".join(each["trade_id"] for each in (one, waits, bare))
    assert asked["standing"] == "true"


def test_the_book_without_exit_api_shows_its_trades(operator: Browser, apis: FakeApis) -> None:
    apis.answers |= {"GET trade /pnl": PNL, "GET trade /trades": page(trade())}
    apis.down = {"exit"}
    html = operator.get("/book").text
    assert "exit-api cannot be reached" in html and "NSE:INFY" in html


def test_the_list_of_stops_shows_order_trigger_and_last_error(operator: Browser, apis: FakeApis) -> None:
    apis.answers[STOPS] = page(stop(), stop(symbol="NSE:TCS", **UNSENT, **SHORT), next="abc")
    html = operator.get("/exits/stops").text
    for text in ("NSE:TCS", "988.00", "B7", "POSITION_SHORT", "The account holds less", "cursor=abc"):
        assert text in html
    assert listed(apis) == {"standing": "true", "limit": "25"}


def test_a_status_shows_ended_stops_too(operator: Browser, apis: FakeApis) -> None:
    apis.answers[STOPS] = page(stop(**ENDED | {"end_reason": "EXIT"}, created_at=AT))
    html = operator.get("/exits/stops?symbol=nse:infy&user_broker_id=paper&status=CANCELLED").text
    assert listed(apis) == {
        "symbol": "NSE:INFY", "user_broker_id": "paper", "status": "CANCELLED", "limit": "25",
    }  # fmt: skip
    assert "It ended without an exit." in html and '<span class="quiet">Exit</span>' in html


def test_an_empty_list_and_a_refusal_say_so(operator: Browser, apis: FakeApis) -> None:
    apis.answers[STOPS] = page()
    assert "No protective stop is held at a broker" in operator.get("/exits/stops").text
    assert "No protective stop matches the filters." in operator.get("/exits/stops?symbol=x").text
    apis.answers[STOPS] = lambda _: problem(422, "invalid_input", "the request is not valid")
    assert "exit-api: the request is not valid" in operator.get("/exits/stops").text


def test_trades_without_stop_stand_above_list_whatever_its_filters(operator: Browser, apis: FakeApis) -> None:
    failed = stop(status="FAILED", error_message="RMS: no margin")
    facts = {name: failed[name] for name in ("symbol", "direction", "product_type", "user_broker_id")}
    bare = {**facts, "symbol": "NSE:TCS", "trade_id": str(new_id()), "open_quantity": 40, "stop": None}
    apis.answers |= {
        STOPS: page(),
        "GET exit /protective-stops/missing": page({**bare, "symbol": "NSE:INFY", "stop": failed}, bare),
    }
    html = operator.get("/exits/stops?symbol=NSE:SBIN").text
    for text in ("Trades without their protective stop", "RMS: no margin", "No stop was written yet."):
        assert text in html
    assert f'href="/trades/{bare["trade_id"]}"' in html
    apis.answers["GET exit /protective-stops/missing"] = page()
    assert "Trades without" not in operator.get("/exits/stops").text
