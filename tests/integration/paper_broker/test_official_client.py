"""The official kiteconnect client, unchanged, works against the paper broker."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
from kiteconnect import KiteConnect
from kiteconnect import exceptions as kite_exceptions

from services.paper_broker.positions import Entry
from shared.clock import TRADING_ZONE, SystemClock
from tests.integration.paper_broker.conftest import API_KEY, API_SECRET, RunningBroker, running_broker
from tests.support.waiting import LIMIT_S, wait_until

TAG = "T1A2B3C4D5E6F7G8H9J0"


def market_order(kite: KiteConnect, side: str = "SELL", quantity: int = 100, **changes: Any) -> str:
    """Place an exit as the system places it; returns the order id."""
    order = {
        "variety": kite.VARIETY_REGULAR,
        "exchange": "NSE",
        "tradingsymbol": "INFY",
        "transaction_type": side,
        "quantity": quantity,
        "product": kite.PRODUCT_MIS,
        "order_type": kite.ORDER_TYPE_MARKET,
        "validity": kite.VALIDITY_DAY,
        "market_protection": kite.MARKET_PROTECTION_AUTO,
        "tag": TAG,
        **changes,
    }
    placed: str = kite.place_order(**order)
    return placed


def limit_order(kite: KiteConnect, side: str, price: float, **changes: Any) -> str:
    """Place a LIMIT order of INFY."""
    terms: dict[str, Any] = {"order_type": "LIMIT", "price": price, "market_protection": None}
    return market_order(kite, side, **{**terms, **changes})


def the_order(kite: KiteConnect, order_id: str) -> dict[str, Any]:
    """The order as the book has it."""
    (found,) = [order for order in kite.orders() if order["order_id"] == order_id]
    return dict(found)


def test_a_market_order_completes_at_last_price_with_exact_money(broker: RunningBroker, kite: KiteConnect) -> None:
    broker.price("NSE:INFY", "1520.35")
    order_id = market_order(kite)
    order = the_order(kite, order_id)
    assert isinstance(order_id, str)
    assert (order["status"], order["filled_quantity"], order["pending_quantity"]) == ("COMPLETE", 100, 0)
    assert Decimal(str(order["average_price"])) == Decimal("1520.35")
    (trade,) = kite.order_trades(order_id)
    assert Decimal(str(trade["average_price"])) == Decimal("1520.35")
    assert (trade["quantity"], trade["order_id"], trade["transaction_type"]) == (100, order_id, "SELL")
    assert kite.trades() == [trade]


def test_times_are_naive_and_in_india(broker: RunningBroker, kite: KiteConnect) -> None:
    broker.price("NSE:INFY", "1520.35")
    order = the_order(kite, market_order(kite))
    now = SystemClock().now().astimezone(TRADING_ZONE).replace(tzinfo=None)
    assert isinstance(order["order_timestamp"], datetime)
    assert abs((now - order["order_timestamp"]).total_seconds()) < 60
    (trade,) = kite.trades()
    assert isinstance(trade["fill_timestamp"], datetime)
    assert len(trade["order_timestamp"]) == len("09:15:00")


def test_a_market_order_without_price_waits_for_a_tick(broker: RunningBroker, kite: KiteConnect) -> None:
    order_id = market_order(kite)
    assert the_order(kite, order_id)["status"] == "OPEN"
    broker.price("NSE:TCS", "3000.00")
    assert the_order(kite, order_id)["status"] == "OPEN"
    broker.price("NSE:INFY", "1000.05")
    assert (the_order(kite, order_id)["status"], the_order(kite, order_id)["average_price"]) == ("COMPLETE", 1000.05)


def test_an_order_is_found_by_its_tag(broker: RunningBroker, kite: KiteConnect) -> None:
    market_order(kite, tag="OTHER")
    order_id = market_order(kite)
    tagged = [order for order in kite.orders() if order["tag"] == TAG or TAG in order["tags"]]
    assert [order["order_id"] for order in tagged] == [order_id]


def test_the_history_tells_every_state(broker: RunningBroker, kite: KiteConnect) -> None:
    order_id = market_order(kite)
    broker.price("NSE:INFY", "1000.00")
    states = [state["status"] for state in kite.order_history(order_id)]
    assert states == ["PUT ORDER REQ RECEIVED", "OPEN", "COMPLETE"]


def test_an_open_order_can_be_cancelled_once(broker: RunningBroker, kite: KiteConnect) -> None:
    order_id = market_order(kite)
    assert kite.cancel_order("regular", order_id) == order_id
    order = the_order(kite, order_id)
    assert (order["status"], order["cancelled_quantity"], order["pending_quantity"]) == ("CANCELLED", 100, 0)
    with pytest.raises(kite_exceptions.OrderException, match="cannot be cancelled"):
        kite.cancel_order("regular", order_id)
    broker.price("NSE:INFY", "1000.00")
    assert kite.trades() == []


def test_a_limit_order_fills_when_crossed_and_can_be_modified(broker: RunningBroker, kite: KiteConnect) -> None:
    broker.price("NSE:INFY", "1000.00")
    first = limit_order(kite, "BUY", 995)
    second = limit_order(kite, "SELL", 1010)
    broker.price("NSE:INFY", "996.00")
    assert {order["status"] for order in kite.orders()} == {"OPEN"}
    broker.price("NSE:INFY", "994.50")
    assert (the_order(kite, first)["status"], the_order(kite, first)["average_price"]) == ("COMPLETE", 994.5)
    kite.modify_order("regular", second, price=994, quantity=40)
    order = the_order(kite, second)
    assert (order["status"], order["filled_quantity"], order["modified"]) == ("COMPLETE", 40, True)


def test_an_order_is_changed_25_times_at_most(broker: RunningBroker, kite: KiteConnect) -> None:
    broker.price("NSE:INFY", "1000.00")
    order_id = limit_order(kite, "SELL", 1010)
    for nth in range(25):
        kite.modify_order(kite.VARIETY_REGULAR, order_id, price=1011 + nth)
    with pytest.raises(kite_exceptions.NetworkException, match="modifications exceeded") as refused:
        kite.modify_order(kite.VARIETY_REGULAR, order_id, price=1010)
    assert (refused.value.code, the_order(kite, order_id)["price"]) == (429, 1035)
    kite.cancel_order(kite.VARIETY_REGULAR, order_id)
    assert the_order(kite, order_id)["status"] == "CANCELLED"


def test_positions_net_entries_and_fills(broker: RunningBroker, kite: KiteConnect) -> None:
    broker.price("NSE:INFY", "1010.00")
    now = broker.desk.records.now_ms()
    entry = Entry("trade-1", "PAPER", "NSE:INFY", "MIS", 100, 10_000_000, now)
    broker.enter(entry)
    broker.enter(entry)
    (held,) = kite.positions()["net"]
    assert (held["quantity"], held["average_price"], held["pnl"]) == (100, 1000, 1000)
    market_order(kite, quantity=100)
    (flat,) = kite.positions()["net"]
    assert (flat["quantity"], flat["buy_quantity"], flat["sell_quantity"]) == (0, 100, 100)
    assert (flat["realised"], flat["unrealised"]) == (1000, 0)


def test_delivery_shares_of_earlier_days_are_holdings(broker: RunningBroker, kite: KiteConnect) -> None:
    broker.price("NSE:INFY", "1010.00")
    two_days_ago = broker.desk.records.now_ms() - 2 * 86_400_000
    broker.enter(Entry("trade-1", "PAPER", "NSE:INFY", "CNC", 10, 10_000_000, two_days_ago))
    assert kite.positions() == {"net": [], "day": []}
    (held,) = kite.holdings()
    assert (held["quantity"], held["average_price"], held["used_quantity"]) == (10, 1000, 0)
    market_order(kite, quantity=4, product="CNC")
    (sold,) = kite.positions()["net"]
    (held,) = kite.holdings()
    assert (held["quantity"] + sold["quantity"], held["used_quantity"]) == (6, 4)


def test_quotes_and_instruments(broker: RunningBroker, kite: KiteConnect) -> None:
    broker.price("NSE:INFY", "1000.00")
    broker.price("NSE:INFY", "1001.25")
    assert kite.ltp("NSE:INFY", "NSE:NONE")["NSE:INFY"]["last_price"] == 1001.25
    assert list(kite.ltp("NSE:NONE")) == []
    quote = kite.quote("NSE:INFY")["NSE:INFY"]
    assert quote["ohlc"] == {"open": 1000, "high": 1001.25, "low": 1000, "close": 0}
    assert kite.ohlc("NSE:INFY")["NSE:INFY"]["ohlc"] == quote["ohlc"]
    assert isinstance(quote["timestamp"], datetime)
    (instrument,) = kite.instruments("NSE")
    assert len(instrument) == 12
    assert (instrument["tradingsymbol"], instrument["last_price"], instrument["lot_size"]) == ("INFY", 1001.25, 1)
    assert kite.instruments("BSE") == []


def test_profile_and_margins(kite: KiteConnect) -> None:
    assert kite.profile()["user_id"] == "PAPER"
    assert kite.margins()["equity"]["net"] > 0
    assert kite.margins("commodity")["enabled"] is True


def test_a_session_is_begun_by_checksum_and_ended(broker: RunningBroker, kite: KiteConnect) -> None:
    kite.invalidate_access_token()
    with pytest.raises(kite_exceptions.TokenException):
        kite.orders()
    with pytest.raises(kite_exceptions.TokenException, match="checksum"):
        broker.client().generate_session("request", "wrong")
    session = broker.client(access_token=None).generate_session("request", API_SECRET)
    assert (session["user_id"], session["api_key"]) == ("PAPER", API_KEY)
    assert isinstance(session["login_time"], datetime)
    assert session["login_time"].date() >= date(2020, 1, 1)
    assert kite.orders() == []


def test_a_session_is_renewed_by_its_refresh_token(broker: RunningBroker, kite: KiteConnect) -> None:
    refresh_token = broker.client(access_token=None).generate_session("request", API_SECRET)["refresh_token"]
    assert kite.invalidate_access_token()
    with pytest.raises(kite_exceptions.TokenException):
        kite.orders()
    with pytest.raises(kite_exceptions.TokenException, match="refresh_token"):
        kite.renew_access_token("wrong", API_SECRET)
    with pytest.raises(kite_exceptions.TokenException, match="checksum"):
        kite.renew_access_token(refresh_token, "wrong")
    assert kite.renew_access_token(refresh_token, API_SECRET)["user_id"] == "PAPER"
    assert kite.orders() == []


def test_ended_refresh_token_renews_nothing_until_next_log_in(broker: RunningBroker, kite: KiteConnect) -> None:
    refresh_token = broker.client(access_token=None).generate_session("request", API_SECRET)["refresh_token"]
    assert kite.invalidate_refresh_token(refresh_token)
    kite.invalidate_access_token()  # ends nothing more, and revives nothing
    with pytest.raises(kite_exceptions.TokenException, match="refresh_token") as refused:
        kite.renew_access_token(refresh_token, API_SECRET)
    assert refused.value.code == 403
    with pytest.raises(kite_exceptions.TokenException):
        kite.orders()
    broker.client(access_token=None).generate_session("request", API_SECRET)
    assert kite.renew_access_token(refresh_token, API_SECRET)["user_id"] == "PAPER"


def test_margins_and_charges_of_orders_are_computed(broker: RunningBroker, kite: KiteConnect) -> None:
    broker.price("NSE:INFY", "1000.00")
    share: dict[str, Any] = {
        "exchange": "NSE",
        "tradingsymbol": "INFY",
        "transaction_type": "BUY",
        "variety": "regular",
    }
    share |= {"product": "MIS", "order_type": "MARKET", "quantity": 10, "price": 0, "trigger_price": 0}
    option = {**share, "exchange": "NFO", "tradingsymbol": "NIFTY26JAN25000CE", "product": "NRML", "price": 100.5}
    margins = kite.order_margins([share, option])
    assert [(it["total"], it["var"], it["option_premium"]) for it in margins] == [(2000, 2000, 0), (1005, 0, 1005)]
    basket = kite.basket_order_margins([share, option], mode="compact")
    assert (basket["initial"]["total"], basket["final"]["total"], basket["orders"]) == (3005, 3005, [])
    (note,) = kite.get_virtual_contract_note([{**share, "order_id": "1", "average_price": 1000}])
    assert (note["price"], note["charges"]["gst"]["total"]) == (1000, 0)
    for wrong in ([], [{**share, "quantity": -1}], {"quantity": 1}):
        with pytest.raises(kite_exceptions.InputException):
            kite.order_margins(wrong)


@pytest.mark.parametrize(("position_type", "days_ago"), [("day", 0), ("overnight", 2)])
def test_a_position_is_converted(broker: RunningBroker, kite: KiteConnect, position_type: str, days_ago: int) -> None:
    broker.price("NSE:INFY", "1010.00")
    entered_ms = broker.desk.records.now_ms() - days_ago * 86_400_000
    broker.enter(Entry("trade-1", "PAPER", "NSE:INFY", "MIS", -10, 10_000_000, entered_ms))
    terms = ("NSE", "INFY", "SELL", position_type)
    for wrong in (("NSE", "INFY", "BUY", position_type, 4, "MIS", "NRML"), (*terms, 11, "MIS", "NRML")):
        with pytest.raises(kite_exceptions.InputException, match="smaller"):
            kite.convert_position(*wrong)
    with pytest.raises(kite_exceptions.InputException, match="the same"):
        kite.convert_position(*terms, 4, "MIS", "MIS")
    assert kite.convert_position(*terms, 4, "MIS", "NRML") is True
    held = {it["product"]: (it["quantity"], it["average_price"], it["pnl"]) for it in kite.positions()["net"]}
    assert held == {"MIS": (-6, 1000, -60), "NRML": (-4, 1000, -40)}


def test_immediate_orders_are_cancelled_as_far_as_unfilled(broker: RunningBroker, kite: KiteConnect) -> None:
    broker.price("NSE:INFY", "1000.00")
    filled = market_order(kite, validity="IOC")
    waiting = limit_order(kite, "SELL", 1010, validity="IOC")
    assert [the_order(kite, it)["status"] for it in (filled, waiting)] == ["COMPLETE", "CANCELLED"]
    assert the_order(kite, waiting)["validity"] == "IOC"
    broker.fault({"kind": "partial_fill", "quantity": 40})
    partly = market_order(kite, validity="IOC")
    wait_until(lambda: the_order(kite, partly)["status"] == "CANCELLED", "the rest is cancelled")
    assert the_order(kite, partly)["filled_quantity"] == 40


@pytest.mark.parametrize(
    "changes",
    [
        {"exchange": "MCX", "tradingsymbol": "GOLD26FEBFUT", "product": "NRML", "validity": "IOC"},
        {"validity": "TTL"},
        {"validity": "TTL", "validity_ttl": 0},
        {"validity": "GTC"},
    ],
)
def test_validities_follow_the_rules_in_force(kite: KiteConnect, changes: dict[str, Any]) -> None:
    with pytest.raises(kite_exceptions.InputException):
        market_order(kite, **changes)


def test_an_order_of_some_minutes_works_until_then(broker: RunningBroker, kite: KiteConnect) -> None:
    order = the_order(kite, market_order(kite, validity="TTL", validity_ttl=1))
    assert (order["status"], order["validity"], order["validity_ttl"]) == ("OPEN", "TTL", 1)
    assert the_order(kite, market_order(kite))["validity_ttl"] == 0
    assert broker.anything_due()


def test_a_wrong_token_is_a_token_exception(broker: RunningBroker) -> None:
    with pytest.raises(kite_exceptions.TokenException) as refused:
        broker.client(access_token="wrong").orders()
    assert refused.value.code == 403


@pytest.mark.parametrize(
    "changes",
    [
        {"quantity": 0},
        {"tag": "x" * 21},
        {"tag": "with space"},
        {"market_protection": 0},
        {"order_type": "LIMIT", "price": 0},
        {"order_type": "LIMIT", "price": 1.00001},
        {"order_type": "SL-M"},
        {"order_type": "SL-M", "trigger_price": 990, "market_protection": 0},
        {"order_type": "SL", "trigger_price": 990},
        {"order_type": "SL", "trigger_price": 990, "price": 991},
        {"order_type": "SL", "trigger_price": 990, "price": 989, "transaction_type": "BUY"},
        *({"variety": variety} for variety in ("amo", "co", "iceberg", "auction", "none")),
        {"exchange": "NYSE"},
        {"tradingsymbol": "no such thing"},
    ],
)
def test_bad_parameters_are_input_exceptions(kite: KiteConnect, changes: dict[str, Any]) -> None:
    with pytest.raises(kite_exceptions.InputException) as refused:
        market_order(kite, **changes)
    assert refused.value.code == 400
    assert kite.orders() == []


def test_an_order_nobody_placed_is_not_found(kite: KiteConnect) -> None:
    for unknown in ("1", "260113000000001", "nonsense"):
        with pytest.raises(kite_exceptions.OrderException) as refused:
            kite.order_history(unknown)
        assert refused.value.code == 404


def test_unknown_routes_answer_as_kite_does(broker: RunningBroker, kite: KiteConnect) -> None:
    with pytest.raises(kite_exceptions.GeneralException) as refused:
        kite.get_auction_instruments()
    assert refused.value.code == 404
    assert requests.get(f"{broker.url}/orders/", allow_redirects=False, timeout=LIMIT_S).status_code in (403, 404)


def test_health_is_open_and_says_ready(broker: RunningBroker) -> None:
    assert requests.get(f"{broker.url}/healthz", timeout=LIMIT_S).status_code == 200
    assert requests.get(f"{broker.url}/readyz", timeout=LIMIT_S).status_code == 200


def test_a_restart_keeps_the_books(tmp_path: Path) -> None:
    with running_broker(tmp_path) as before:
        before.price("NSE:INFY", "1000.05")
        filled = market_order(before.client())
        working = limit_order(before.client(), "SELL", 1010)
        books = (before.client().orders(), before.client().trades(), before.client().positions())
    with running_broker(tmp_path) as after:
        kite = after.client()
        assert (kite.orders(), kite.trades(), kite.positions()) == books
        after.price("NSE:INFY", "1011.00")
        assert the_order(kite, working)["status"] == "COMPLETE"
        assert market_order(kite) > working > filled


def test_more_than_ten_orders_a_second_are_refused_with_429(tmp_path: Path) -> None:
    with running_broker(tmp_path, orders_per_s=10, orders_per_min=12, orders_per_day=5000) as broker:
        kite = broker.client()
        answers = [_status_of(lambda: market_order(kite)) for _ in range(12)]
        assert answers.count(200) == len(kite.orders()) >= 10
        assert set(answers) <= {200, 429}


def test_large_orders_come_in_at_most_ten_slices(tmp_path: Path) -> None:
    with running_broker(tmp_path, paper_broker_freeze_quantity=40) as broker:
        kite = broker.client()
        with pytest.raises(kite_exceptions.InputException, match="freeze"):
            market_order(kite, quantity=41)
        terms: dict[str, Any] = {
            "exchange": "NSE",
            "tradingsymbol": "INFY",
            "transaction_type": "SELL",
            "product": "MIS",
        }
        terms |= {"variety": "regular", "order_type": "MARKET", "market_protection": -1, "tag": TAG}
        broker.fault({"kind": "refuse"})
        answer = kite.place_autoslice_order(quantity=100, **terms)
        assert [list(child) for child in answer["children"]] == [["error"], ["order_id"], ["order_id"]]
        assert answer["order_id"] == answer["children"][1]["order_id"]
        assert [order["quantity"] for order in kite.orders()] == [40, 20]
        with pytest.raises(kite_exceptions.InputException, match="10 slices"):
            kite.place_autoslice_order(quantity=401, **terms)


def test_fills_take_the_latency_and_the_price_after_it(tmp_path: Path) -> None:
    with running_broker(tmp_path, paper_broker_latency_ms=400) as broker:
        kite = broker.client()
        broker.price("NSE:INFY", "1000.00")
        order_id = market_order(kite)
        broker.price("NSE:INFY", "998.00")
        assert the_order(kite, order_id)["status"] == "OPEN"
        wait_until(lambda: the_order(kite, order_id)["status"] == "COMPLETE", "the fill")
        assert the_order(kite, order_id)["average_price"] == 998


def _status_of(call: Callable[[], object]) -> int:
    try:
        call()
    except kite_exceptions.KiteException as error:
        return int(error.code)
    return 200


OUT_OF_SCOPE: dict[str, Callable[[KiteConnect], object]] = {
    "historical_data": lambda kite: kite.historical_data(1, "2026-01-01", "2026-01-02", "day"),
    "trigger_range": lambda kite: kite.trigger_range("BUY", "NSE:INFY"),
    "get_auction_instruments": lambda kite: kite.get_auction_instruments(),
    "mf_orders": lambda kite: kite.mf_orders(),
    "place_mf_order": lambda kite: kite.place_mf_order("INF1", "BUY", amount=1),
    "cancel_mf_order": lambda kite: kite.cancel_mf_order("1"),
    "mf_sips": lambda kite: kite.mf_sips(),
    "place_mf_sip": lambda kite: kite.place_mf_sip("INF1", 1000, 12, "monthly"),
    "modify_mf_sip": lambda kite: kite.modify_mf_sip("1", amount=1),
    "cancel_mf_sip": lambda kite: kite.cancel_mf_sip("1"),
    "mf_holdings": lambda kite: kite.mf_holdings(),
    "mf_instruments": lambda kite: kite.mf_instruments(),
    "exit_order": lambda kite: kite.exit_order("co", "1"),
}
"""Calls of the client for history, mutual funds, auctions and cover orders."""
IN_SCOPE = frozenset(
    {
        "basket_order_margins",
        "cancel_order",
        "convert_position",
        "delete_gtt",
        "generate_session",
        "get_gtt",
        "get_gtts",
        "get_virtual_contract_note",
        "holdings",
        "instruments",
        "invalidate_access_token",
        "invalidate_refresh_token",
        "ltp",
        "margins",
        "modify_gtt",
        "modify_order",
        "ohlc",
        "order_history",
        "order_margins",
        "order_trades",
        "orders",
        "place_autoslice_order",
        "place_gtt",
        "place_order",
        "positions",
        "profile",
        "quote",
        "renew_access_token",
        "trades",
    }
)
"""Calls with a test here or in `test_stops_and_triggers`."""
WITHOUT_REQUEST = frozenset({"login_url", "set_access_token", "set_session_expiry_hook"})


@pytest.mark.parametrize("call", sorted(OUT_OF_SCOPE))
def test_calls_out_of_scope_are_refused_by_kites_error(kite: KiteConnect, call: str) -> None:
    with pytest.raises(kite_exceptions.KiteException) as refused:
        OUT_OF_SCOPE[call](kite)
    assert refused.value.code in (400, 404)
    assert kite.orders() == []


def test_every_call_of_the_client_has_its_place() -> None:
    """A new release of the client with more calls fails here."""
    calls = {name for name in vars(KiteConnect) if not name.startswith("_") and callable(getattr(KiteConnect, name))}
    assert calls == OUT_OF_SCOPE.keys() | IN_SCOPE | WITHOUT_REQUEST
    told = "".join(
        Path(__file__).with_name(f"test_{name}.py").read_text() for name in ("official_client", "stops_and_triggers")
    )
    assert [name for name in sorted(IN_SCOPE) if f"kite.{name}(" not in told and f").{name}(" not in told] == []
