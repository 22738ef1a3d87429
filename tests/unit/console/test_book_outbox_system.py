"""The pages Book, Outbox and System."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from services.console.charts import BAR_WIDTH, bars
from services.console.pages.outbox import discard_consequences
from services.console.readiness import ProcessProbes
from services.console.trade_story import nearest_level
from services.console.wording import duration, facts, money
from shared.ids import new_id
from tests.unit.console.conftest import Browser
from tests.unit.console.fake_apis import AT, FakeApis, Json, outbox, page, parked, trade

PNL = {
    "day": "2026-01-13", "symbol": None, "count": 2, "gross_pnl": "300.00", "charges": "20.00", "net_pnl": "280.00",
    "groups": [
        {"group_by": "symbol", "group": "NSE:TCS", "count": 1, "gross_pnl": "500.00", "charges": "10.00",
         "net_pnl": "490.00"},
        {"group_by": "symbol", "group": "NSE:INFY", "count": 1, "gross_pnl": "-200.00", "charges": "10.00",
         "net_pnl": "-210.00"},
    ],
}  # fmt: skip


def test_book_shows_grouped_day_and_open_trades(operator: Browser, apis: FakeApis) -> None:
    apis.answers |= {
        "GET trade /pnl": PNL,
        "GET trade /trades": page(trade(), next="abc"),
        "GET exit /protective-stops": page(),
        "GET exit /prices": page({"symbol": "NSE:INFY", "last_price": "992.50"}),
    }
    html = operator.get("/book?day=2026-01-13").text
    for text in (
        "+280.00",
        "NSE:TCS",
        "+490.00",
        money("-210.00"),
        "1,010.00",
        "cursor=abc",
        "13 Jan 2026",
        "to stop loss",
    ):
        assert text in html
    asked = [dict(request.url.params) for request in apis.asked if request.url.path == "/pnl"]
    assert asked == [{"day": "2026-01-13", "group_by": "symbol,user_broker_id,exit_reason"}]


def test_the_book_says_when_the_last_trade_closed(operator: Browser, apis: FakeApis) -> None:
    apis.answers |= {
        "GET trade /pnl": {**PNL, "last_closed_at": "2026-01-13T05:10:05.500Z"},
        "GET trade /trades": page(),
    }
    assert "last at 10:40:05" in operator.get("/book?day=2026-01-13").text


def test_the_book_shows_the_open_trades_of_a_symbol(operator: Browser, apis: FakeApis) -> None:
    apis.answers |= {"GET trade /pnl": PNL, "GET trade /trades": page(trade(), next="abc")}
    html = operator.get("/book?symbol=nse:infy&day=2026-01-13").text
    asked = next(request for request in apis.asked if request.url.path == "/trades")
    assert asked.url.params["symbol"] == "NSE:INFY"
    more = "day=2026-01-13&amp;symbol=NSE%3AINFY"
    for link in (f"/book?{more}&amp;cursor=abc", f"/book/distances?{more}", "/exits?view=all&amp;symbol=NSE%3AINFY"):
        assert link in html
    apis.answers["GET trade /trades"] = page()
    assert "No trade of NSE:INFY is open." in operator.get("/book?symbol=NSE:INFY").text


def test_the_exits_of_a_symbol_lead_to_its_open_trades(operator: Browser, apis: FakeApis) -> None:
    apis.answers["GET exit /exits"] = page()
    assert 'href="/book?symbol=NSE%3AINFY#open"' in operator.get("/exits?view=all&symbol=NSE:INFY").text


def test_each_open_trade_shows_the_distance_to_its_nearest_level(operator: Browser, apis: FakeApis) -> None:
    one, unknown, quiet = trade(), trade(symbol="NSE:NEW"), trade(symbol="NSE:QUIET")
    known = {"symbol": "NSE:INFY", "last_price": "992.50"}, {"symbol": "NSE:QUIET", "last_price": None}
    apis.answers |= {"GET trade /trades": page(one, unknown, quiet), "GET exit /prices": page(*known)}
    html = operator.get("/book/distances").text
    assert apis.asked[-1].url.params["symbols"] == "NSE:INFY,NSE:NEW,NSE:QUIET"
    assert f'id="distance-{one["trade_id"]}"' in html and "2.50 (0.25%) to stop loss" in html
    assert unknown["trade_id"] not in html and quiet["trade_id"] not in html


def test_trades_nearest_to_their_stop_are_listed_with_their_distance(operator: Browser, apis: FakeApis) -> None:
    near = {"trade_id": str(new_id()), "symbol": "NSE:INFY", "direction": "LONG", "user_broker_id": "paper",
            "stop_loss": "990.00", "last_price": "1000.00", "priced_at": AT, "distance": "10.00"}  # fmt: skip
    apis.answers["GET exit /exits/nearest"] = {"items": [near | {"distance": "-2.00"}, near]}
    html = operator.get("/book/nearest").text
    for text in ("passed", f"{money('-2.00')}", f"({money('-0.20')}%)", "10.00", "(1.00%)", near["trade_id"]):
        assert text in html
    apis.answers["GET exit /exits/nearest"] = {"items": []}
    assert "No open trade has a stop loss and a last price." in operator.get("/book/nearest").text


@pytest.mark.parametrize(
    ("direction", "price", "text"),
    [("LONG", "1012.00", "past target"), ("LONG", "989.00", "past stop loss"), ("LONG", "991.00", "to stop loss"),
     ("SHORT", "1012.00", "to target"), ("SHORT", "989.00", "to stop loss")],
)  # fmt: skip
def test_a_level_that_the_price_has_passed_is_said_so(direction: str, price: str, text: str) -> None:
    assert nearest_level(trade(direction=direction), price).endswith(text)
    assert nearest_level(trade(exit_plan={}), price) == ""


def test_the_book_says_once_that_trade_api_is_down(operator: Browser, apis: FakeApis) -> None:
    apis.down = {"trade"}
    assert operator.get("/book").text.count("trade-api cannot be reached") == 1


def test_bars_stand_on_one_scale_around_zero() -> None:
    gain, loss = bars(["490", "-245"])
    assert (gain.x, gain.width) == (BAR_WIDTH / 2, BAR_WIDTH / 2)
    assert (loss.x, loss.width) == (BAR_WIDTH / 4, BAR_WIDTH / 4)
    assert bars(["10"])[0].width == bars(["-10"])[0].width == BAR_WIDTH
    assert bars(["-10"])[0].x == 0
    assert bars([]) == []


def serve_outbox(apis: FakeApis, *events: Json, **shard: Any) -> None:
    """Let exit-api have parked events and one shard, trade-api nothing."""
    apis.answers |= {
        "GET exit /outbox": outbox(**shard),
        "GET exit /outbox/parked": page(*events),
        "GET trade /outbox": outbox(parked=0),
        "GET trade /outbox/parked": page(),
    }


def test_the_outbox_shows_shards_and_parked_events(operator: Browser, apis: FakeApis) -> None:
    serve_outbox(apis, parked(4))
    html = operator.get("/outbox").text
    for text in ("MSG_SIZE_TOO_LARGE", "ExitIntentFilled", "Replay key", "Discard", "Exit qualification", "Pause"):
        assert text in html


def test_a_replay_says_how_many_events_it_sends_where(operator: Browser, apis: FakeApis) -> None:
    events = [parked(number) for number in range(14)] + [parked(99, key="other", request="REPLAY")]
    serve_outbox(apis, *events)
    html = operator.get("/outbox/exit/replay?topic=exits.intents.v1").text
    assert "Sends 14 events in order to topic exits.intents.v1 (2 keys)." in html
    assert "1 event with an earlier decision stay as decided." in html
    apis.answers["POST exit /outbox/parked/replay"] = {"requested": 14, "already_requested": 1}
    answer = operator.send("/outbox/exit/replay", topic="exits.intents.v1", key="k", reason="fixed")
    assert answer.headers["location"] == "/outbox"
    assert apis.last_body() == {"topic": "exits.intents.v1", "key": "k", "reason": "fixed"}
    assert "The relay sends 14 events again; 1 were asked for before." in operator.get("/outbox").text


def test_a_discard_needs_a_typed_word(operator: Browser, apis: FakeApis) -> None:
    event, later = parked(4), parked(5)
    serve_outbox(apis, event, later)
    fields = {"topic": event["topic"], "key": event["key"], "event_id": event["event_id"]}
    html = operator.http.get("/outbox/exit/discard", params=fields).text
    assert "1 later event of the key stay parked" in html and "cannot be undone" in html
    apis.answers["POST exit /outbox/parked/discard"] = {"requested": 1, "already_requested": 0}
    refused = operator.send("/outbox/exit/discard", **fields, reason="broken", word="discrad")
    assert refused.status_code == 422 and "Type discard exactly." in refused.text
    assert operator.send("/outbox/exit/discard", **fields, reason="broken", word="discard").status_code == 303
    assert apis.last_body() == {"event_id": event["event_id"], "reason": "broken"}
    assert "1 earlier event" in discard_consequences(later, [event, later])[1]


def test_shard_is_paused_with_reason_unless_already_paused(operator: Browser, apis: FakeApis) -> None:
    serve_outbox(apis)
    assert "12 events wait now" in operator.get("/outbox/exit/shards/1/pause").text
    apis.answers["POST exit /outbox/shards/1/pause"] = {"shard": 1, "paused": True}
    assert operator.send("/outbox/exit/shards/1/pause", reason="hold").status_code == 303
    assert apis.last_body() == {"reason": "hold"}
    serve_outbox(apis, paused=True)
    assert "The shard is paused already." in operator.get("/outbox/exit/shards/1/pause").text


def test_one_outbox_down_leaves_the_other(operator: Browser, apis: FakeApis) -> None:
    serve_outbox(apis, parked(4))
    apis.down = {"trade"}
    html = operator.get("/outbox").text
    assert "trade-api cannot be reached" in html and "MSG_SIZE_TOO_LARGE" in html


SETTING = {"reason": "start", "updated_by": "ops-desk", "updated_at": AT}
ENTRY = {
    "audit_id": 1, "actor": "ops-desk", "action": "kill_switch.put", "subject": "kill switch",
    "before": {"mode": "OFF"}, "after": {"mode": "ALL"}, "reason": "broker slow", "at": AT,
}  # fmt: skip
BROKER = {
    "user_broker_id": "paper", "broker": "kite", "account": "PAPER", "root_url": "http://broker", "status": "CONNECTED",
    "waiting_error": None, "entries_held_since": "2026-01-13T04:00:00Z", "entries_held_reason": "lost 1000.00",
    "token_refused_at": None, "token_ends_at": "2026-01-14T00:30:00Z",
}  # fmt: skip


NO_EXITS: Json = {"total": 0, "by_status": {}, "is_whole": True}


def serve_system(apis: FakeApis) -> None:
    """Let the APIs have a state and an audit log."""
    apis.answers |= {
        "GET exit /kill-switch": {"mode": "OFF", **SETTING},
        "GET exit /rollout": {"mode": "limited", "symbols": ["NSE:TCS"], "user_broker_ids": [], **SETTING},
        "GET exit /brokers": {"items": [BROKER]},
        "GET exit /brokers/paper": BROKER,
        "GET exit /audit": page(ENTRY),
        "GET trade /audit": page({**ENTRY, "action": "outbox.pause", "before": None}),
        "GET exit /exits/pending": {**page(), "counts": NO_EXITS},
    }
    for side in ("exit", "trade"):
        apis.answers.setdefault(f"GET {side} /outbox", outbox(parked=0))


def test_the_system_page_shows_switches_accounts_and_the_audit_log(operator: Browser, apis: FakeApis) -> None:
    serve_system(apis)
    html = operator.get("/system").text
    shown = (
        "Exits run.",
        "NSE:TCS",
        "http://broker",
        "broker slow",
        "outbox.pause",
        "mode OFF",
        "Set to ALL",
        "lost 1000.00",
        "token ends 14 Jan 2026, 06:00:00",
    )
    for text in shown:
        assert text in html


def test_a_refused_token_is_shown_with_its_time(operator: Browser, apis: FakeApis) -> None:
    serve_system(apis)
    apis.answers["GET exit /brokers"] = {"items": [BROKER | {"token_refused_at": "2026-01-13T04:30:00Z"}]}
    html = operator.get("/system").text
    assert "token refused" in html and "since 13 Jan 2026, 10:00:00" in html and "token ends" not in html


def test_audit_log_is_filtered_by_operator_and_day(operator: Browser, apis: FakeApis) -> None:
    serve_system(apis)
    apis.answers["GET exit /audit"] = page(ENTRY, next="older")
    apis.asked.clear()
    html = operator.get("/system?actor=ops-desk&day=2026-01-13").text
    asked = [dict(each.url.params) for each in apis.asked if each.url.path == "/audit"]
    assert asked == [{"limit": "25", "actor": "ops-desk", "day": "2026-01-13"}] * 2
    assert 'href="/system?actor=ops-desk&amp;day=2026-01-13&amp;cursor=older#audit"' in html
    apis.answers |= {"GET exit /audit": page(), "GET trade /audit": page()}
    assert "No action matches the filters." in operator.get("/system?actor=risk-desk").text


def test_the_kill_switch_needs_its_mode_typed(operator: Browser, apis: FakeApis) -> None:
    serve_system(apis)
    assert "Orders already at a broker are not cancelled." in operator.get("/system/kill-switch?mode=ALL").text
    apis.answers["PUT exit /kill-switch"] = {"mode": "ALL", "on_their_way": [{}, {}], **SETTING}
    assert operator.send("/system/kill-switch", mode="ALL", reason="stop", word="all").status_code == 422
    assert operator.send("/system/kill-switch", mode="ALL", reason="stop", word="ALL").status_code == 303
    assert apis.last_body() == {"mode": "ALL", "reason": "stop"}
    assert "2 orders handed over before may still" in operator.get("/system").text


def test_the_rollout_limited_sends_its_lists(operator: Browser, apis: FakeApis) -> None:
    serve_system(apis)
    assert "NSE:TCS</textarea>" in operator.get("/system/rollout?mode=limited").text
    apis.answers["PUT exit /rollout"] = {"mode": "limited"}
    fields = {"mode": "limited", "reason": "try", "word": "limited", "symbols": "NSE:TCS\r\nNSE:INFY"}
    assert operator.send("/system/rollout", **fields).status_code == 303
    assert apis.last_body() == {
        "mode": "limited", "reason": "try", "symbols": ["NSE:TCS", "NSE:INFY"], "user_broker_ids": [],
    }  # fmt: skip


def test_disconnecting_an_account_changes_nothing_else_of_it(operator: Browser, apis: FakeApis) -> None:
    serve_system(apis)
    apis.answers["PUT exit /brokers/paper"] = BROKER
    path = "/system/brokers/paper"
    assert "wait until it is connected" in operator.get(f"{path}?status=DISCONNECTED").text
    assert operator.send(path, status="DISCONNECTED", reason="outage", word="paper").status_code == 303
    assert apis.last_body() == {
        "broker": "kite", "account": "PAPER", "root_url": "http://broker", "status": "DISCONNECTED", "reason": "outage",
    }  # fmt: skip


def test_the_system_page_works_while_both_apis_are_down(operator: Browser, apis: FakeApis) -> None:
    apis.down = {"exit", "trade"}
    answer = operator.get("/system")
    assert answer.status_code == 200
    assert "exit-api cannot be reached" in answer.text and "trade-api cannot be reached" in answer.text


def test_each_process_says_itself_whether_it_is_ready() -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "c":
            raise httpx.ConnectError("refused", request=request)
        checks = {"checks": {"kafka": "no progress for 14 s"}}
        return (
            httpx.Response(200, json={"status": "ready"})
            if request.url.host == "a"
            else httpx.Response(503, json=checks)
        )

    probes = ProcessProbes("one=http://a:1,two=http://b:2/,three=http://c:3", httpx.MockTransport(answer))
    found = [(each.name, each.state, each.reasons) for each in asyncio.run(probes.all())]
    assert found == [
        ("one", "ready", []),
        ("two", "not ready", ["kafka: no progress for 14 s"]),
        ("three", "no answer", ["refused"]),
    ]


METRICS = """# TYPE consumer_lag_records gauge
consumer_lag_records{partition="0",topic="market.ticks.v1"} 1200.0
consumer_lag_records{partition="1",topic="market.ticks.v1"} 34.0
consumer_lag_records{partition="0",topic="trades.v1"} 1.0
outbox_shards_held{outbox="exit"} 64.0
outbox_lease_remaining_seconds{outbox="exit"} 8.6
outbox_shards_held{outbox="trade"} 0.0
outbox_lease_remaining_seconds{outbox="trade"} 0.0
"""


def test_process_shows_its_lag_and_held_leases() -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/readyz":
            return httpx.Response(200, json={"status": "ready"})
        assert "authorization" not in request.headers
        known = {"worker": httpx.Response(200, text=METRICS), "api": httpx.Response(401, json={})}
        return known.get(request.url.host, httpx.Response(200, text="consumer_lag_records{ broken"))

    probes = ProcessProbes("one=http://worker,two=http://api,three=http://odd", httpx.MockTransport(answer))
    found = {each.name: (each.state, each.figures) for each in asyncio.run(probes.all())}
    assert found == {
        "one": (
            "ready",
            [
                "market.ticks.v1: 1,234 records behind",
                "trades.v1: 1 record behind",
                "outbox exit: 64 shards held, leases end in 8.6 s",
                "outbox trade: 0 shards held",
            ],
        ),
        "two": ("ready", []),
        "three": ("ready", []),
    }


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "\N{EN DASH}"), (0.0404, "40 ms"), (3.21, "3.2 s"), (59.4, "59 s"), (250, "4 m 10 s"), (3700, "1 h 1 m"),
     (183_600, "2 d 3 h")],
)  # fmt: skip
def test_durations_are_words(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_money_and_facts_are_words() -> None:
    assert money("1234567.5000") == "1,234,567.50"
    assert money("0.1234") == "0.1234"
    assert money("5", sign=True) == "+5.00"
    assert (
        facts({"has_live_intent": False, "symbols": [], "mode": None}) == "has live intent no, symbols none, mode none"
    )
