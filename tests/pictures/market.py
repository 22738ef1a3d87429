"""A trading morning in the answers of both APIs: exits held by the kill switch, stops at brokers, parked events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import httpx

from services.exit_qualification.domain.gates.gate import Gate
from services.exit_qualification.domain.intent_state_machine import UNSENT
from shared.clock import rfc3339
from tests.unit.console.fake_apis import FakeApis, Json, explanation, intent, outbox, page, parked, rule, stop, trade

NOW: Final = datetime(2026, 1, 13, 5, 0, tzinfo=UTC)
KILL_SWITCH: Final = (Gate.KILL_SWITCH, {"mode": "ALL"})
DISCONNECTED: Final = (Gate.BROKER_CONNECTED, {"status": "DISCONNECTED"})
PRICES: Final = {
    "NSE:INFY": "1518.40", "NSE:TCS": "3905.66", "NSE:SBIN": "806.10", "NSE:RELIANCE": "2956.78",
    "NSE:HDFCBANK": "1694.95",
}  # fmt: skip
KEY: Final = "01a215b0-0def-7154-be81-74af78f0bccd"
SETTING: Final = {"updated_by": "risk-desk", "updated_at": rfc3339(NOW - timedelta(seconds=70))}
PROCESSES: Final = ("exit-ticks", "exit-orders", "exit-api", "trade-fills", "trade-api", "relay", "console")
METRICS: Final = {
    "exit-ticks": 'consumer_lag_records{topic="market.ticks.v1"} 0\nconsumer_lag_records{topic="trades.v1"} 0\n',
    "trade-fills": 'consumer_lag_records{topic="exits.intents.v1"} 0\n',
    "relay": 'outbox_shards_held{outbox="exit"} 64\noutbox_lease_remaining_seconds{outbox="exit"} 7.9\n'
    'outbox_shards_held{outbox="trade"} 64\noutbox_lease_remaining_seconds{outbox="trade"} 7.4\n',
}


def ago(seconds: float) -> str:
    """Return the time so long before the pictures."""
    return rfc3339(NOW - timedelta(seconds=seconds))


def _held(*gates: tuple[Gate, Json]) -> Json:
    verdicts = [{"gate": gate, "verdict": "DEFER", "detail": detail} for gate, detail in gates]
    return {"gates": verdicts, "gates_passed": len(Gate) - len(gates)}


PASSED: Final = _held()
EXITS: Final = (
    intent(symbol="NSE:INFY", exit_level="1490.00", detected_price="1489.35", created_at=ago(65), **_held(KILL_SWITCH)),
    intent(symbol="NSE:TCS", exit_reason="TRAILING_STOP", quantity=50, exit_level="3845.00", detected_price="3844.10",
           created_at=ago(42), user_broker_id="zerodha-1", **_held(KILL_SWITCH, DISCONNECTED)),
    intent(symbol="NSE:SBIN", status="APPROVED", error_code="TOKEN_EXPIRED", quantity=150, exit_level="804.00",
           detected_price="803.85", user_broker_id="zerodha-2", created_at=ago(34), **PASSED),
    intent(symbol="NSE:RELIANCE", direction="SHORT", status="PLACED", quantity=200, exit_level="2985.00",
           detected_price="2986.20", created_at=ago(7), **PASSED),
    intent(symbol="NSE:HDFCBANK", exit_reason="TARGET", leg=1, status="PARTIALLY_FILLED", filled_quantity=120,
           quantity=250, exit_level="1675.00", detected_price="1675.40", created_at=ago(5), **PASSED),
    intent(symbol="NSE:ITC", status="UNKNOWN", quantity=400, exit_level="441.00", detected_price="440.90",
           created_at=ago(3), **PASSED),
)  # fmt: skip
STOP_LOSSES: Final = [each for each in EXITS if each["exit_reason"] == "STOP_LOSS"]
COUNTS: Final = {
    "total": 10_012,
    "by_status": {"PENDING": 9_958, "APPROVED": 31, "PLACED": 15, "PARTIALLY_FILLED": 6, "UNKNOWN": 2},
    "is_whole": True,
}


def _trade(symbol: str, quantity: int, entry: str, target: str, stop_loss: str, minutes: int, **more: Any) -> Json:
    plan = {"target": target, "stop_loss": stop_loss}
    amounts = {"quantity": quantity, "open_quantity": quantity, "entry_price": entry}
    return trade(symbol=symbol, exit_plan=plan, entered_at=ago(60 * minutes), **amounts, **more)


TRADES: Final = (
    _trade("NSE:INFY", 50, "1512.35", "1527.47", "1497.23", 5),
    _trade("NSE:TCS", 100, "3890.10", "3929.00", "3851.20", 10, user_broker_id="zerodha-1"),
    _trade("NSE:SBIN", 150, "812.55", "820.68", "804.42", 15, user_broker_id="zerodha-2"),
    _trade("NSE:RELIANCE", 200, "2945.00", "2915.55", "2974.45", 20, direction="SHORT"),
    _trade("NSE:HDFCBANK", 250, "1688.20", "1705.08", "1671.32", 25),
)


def _stop(one: Json, trigger_price: str, seconds: float, **more: Any) -> Json:
    named = {name: one[name] for name in ("trade_id", "symbol", "direction", "user_broker_id", "quantity")}
    times = {"created_at": ago(seconds), "submitted_at": ago(seconds - 0.1), "armed_at": ago(seconds - 0.4)}
    return stop(trigger_price=trigger_price, **named, **{**times, **more})


STOPS: Final = (
    _stop(TRADES[0], "1488.00", 299, broker_order_id="260113000004"),
    _stop(TRADES[1], "3842.50", 599, broker_order_id="260113000003", status="REPLACING"),
    _stop(TRADES[2], "801.95", 899, broker_order_id=None, status="WANTED", submitted_at=None, armed_at=None,
          error_code="POSITION_SHORT", error_message="the account's position is smaller than the trade"),
    _stop(TRADES[3], "2989.00", 1199, broker_order_id="260113000001", status="CANCELLING"),
)  # fmt: skip
HELD: Final = TRADES[2]
"""The trade shown in detail: its stop is met, and the kill switch holds the exit back."""
HELD_EXIT: Final = intent(
    trade_id=HELD["trade_id"], symbol="NSE:SBIN", quantity=150, exit_level="804.42", detected_price="804.40",
    created_at=ago(20), **_held(KILL_SWITCH),
)  # fmt: skip


def serve_market(apis: FakeApis) -> None:
    """Let both APIs tell the whole morning."""
    missing = {**HELD, "stop": STOPS[2]}
    apis.answers |= {
        "GET exit /exits/pending": {**page(*EXITS, next="more"), "counts": COUNTS},
        "GET trade /trades": page(*TRADES),
        "GET exit /protective-stops": _stops,
        "GET exit /protective-stops/missing": page(missing),
        "GET exit /prices": page(*({"symbol": symbol, "last_price": price} for symbol, price in PRICES.items())),
        "GET exit /exits/nearest": {"items": sorted(map(_near, TRADES), key=lambda near: Decimal(near["distance"]))},
        "GET trade /pnl": _pnl(),
    }
    _serve_trade(apis)
    _serve_bulk(apis)
    _serve_outboxes(apis)
    _serve_system(apis)


def _stops(request: httpx.Request) -> Json:
    named = request.url.params.get("trade_ids")
    return page(*(each for each in STOPS if named is None or each["trade_id"] in named))


def _near(one: Json) -> Json:
    sign = 1 if one["direction"] == "LONG" else -1
    price, level = PRICES[one["symbol"]], one["exit_plan"]["stop_loss"]
    kept = {name: one[name] for name in ("trade_id", "symbol", "direction", "user_broker_id")}
    distance = str(sign * (Decimal(price) - Decimal(level)))
    return {**kept, "stop_loss": level, "last_price": price, "priced_at": ago(1), "distance": distance}


def _pnl() -> Json:
    names = {
        "symbol": ("NSE:TCS", "NSE:KOTAKBANK"),
        "user_broker_id": ("paper", "zerodha-1"),
        "exit_reason": ("TARGET", "STOP_LOSS"),
    }
    sums = (
        {"count": 6, "gross_pnl": "12450.00", "charges": "310.40", "net_pnl": "12139.60"},
        {"count": 4, "gross_pnl": "-5120.00", "charges": "188.15", "net_pnl": "-5308.15"},
    )
    groups = [
        {"group_by": kind, "group": name, **each}
        for kind, named in names.items()
        for name, each in zip(named, sums, strict=True)
    ]
    totals = {"count": 10, "gross_pnl": "7330.00", "charges": "498.55", "net_pnl": "6831.45", "last_closed_at": ago(48)}
    return {"day": str(NOW.date()), "symbol": None, "groups": groups, **totals}


def _serve_trade(apis: FakeApis) -> None:
    plan = {
        **HELD["exit_plan"],
        "trailing_stop": {"amount": "8.00"},
        "protective_stop": {"kind": "SL-M", "offset": "2.00"},
    }
    detected = {"signal_id": HELD_EXIT["signal_id"], "price": "804.40"}
    why = explanation(
        rule(level="804.42", distance="0.0000", held_by="intent"),
        rule(exit_reason="TARGET", level="820.68", reached="at or above", distance="16.2800", held_by="intent"),
        symbol="NSE:SBIN",
        last_tick={"price": "804.40", "at": ago(1), "arrived_at": ago(1), "age_ms": 1200, "ticks": 3},
        timeline=[{"at": ago(20.004), "step": "DETECTED", "detail": detected}],
        protective_stop=STOPS[2],
    )
    path = f"/trades/{HELD['trade_id']}"
    apis.answers |= {
        f"GET trade {path}": {**HELD, "exit_plan": plan},
        f"GET trade {path}/timeline": page(),
        "GET exit /exits": page(HELD_EXIT),
        f"GET exit /exits/why/{HELD['trade_id']}": why,
        f"GET exit /brokers/{HELD['user_broker_id']}": {
            "user_broker_id": HELD["user_broker_id"], "status": "CONNECTED",
        },
    }  # fmt: skip


def _serve_bulk(apis: FakeApis) -> None:
    names = ("trade_id", "symbol", "direction", "product_type", "user_broker_id", "quantity")
    exits = [{**{name: each[name] for name in names}, "skipped": None} for each in TRADES]
    exits[3]["skipped"] = "exit_in_progress"
    apis.answers |= {
        "POST exit /exits/bulk": {"dry_run": True, "exits": 4, "items": exits},
        "POST exit /exits/withdraw/bulk": {"dry_run": True, "withdrawn": 2, "items": [*map(_withdrawal, STOP_LOSSES)]},
    }


def _withdrawal(one: Json) -> Json:
    names = ("trade_id", "symbol", "direction", "product_type", "user_broker_id", "quantity", "exit_reason", "status")
    skipped = None if one["status"] in UNSENT else "already_sent"
    return {**{name: one[name] for name in names}, "skipped": skipped}


def _serve_outboxes(apis: FakeApis) -> None:
    reasons = {4: "MSG_SIZE_TOO_LARGE", 5: "behind event 4 of its key", 6: "behind event 4 of its key"}
    events = (parked(number, key=KEY, parked_at=ago(300), reason=reason) for number, reason in reasons.items())
    apis.answers |= {
        "GET exit /outbox": _outbox(backlog=12, oldest_age_s=0.08, parked=3),
        "GET exit /outbox/parked": page(*events),
        "GET trade /outbox": _outbox(),
        "GET trade /outbox/parked": page(),
    }


def _outbox(**totals: Any) -> Json:
    quiet = {"backlog": 0, "oldest_age_s": None, "parked": 0}
    (shard,) = outbox()["shards"]
    shards = [{**shard, **quiet, "shard": number} for number in range(64)]
    return {"totals": {**quiet, "shards": 64, "owned": 64, "paused": 0, **totals}, "shards": shards}


def _serve_system(apis: FakeApis) -> None:
    def account(name: str, **more: Any) -> Json:
        known = {"broker": "kite", "account": name.upper(), "root_url": "https://api.kite.trade", "status": "CONNECTED"}
        unknown = dict.fromkeys(("entries_held_since", "entries_held_reason", "token_refused_at", "waiting_error"))
        ends = "2026-01-14T00:30:00Z"
        return {"user_broker_id": name, **known, **unknown, "token_ends_at": ends, **more}

    def act(seconds: float, actor: str, action: str, subject: str, before: str, after: str, reason: str) -> Json:
        change = {"before": {"mode": before}, "after": {"mode": after}}
        return {"at": ago(seconds), "actor": actor, "action": action, "subject": subject, "reason": reason, **change}

    expired = {"code": "TOKEN_EXPIRED", "message": "the broker refuses the access token"}
    apis.answers |= {
        "GET exit /kill-switch": {"mode": "ALL", "reason": "the feed of NSE is behind", **SETTING},
        "GET exit /rollout": {
            "mode": "full", "symbols": [], "user_broker_ids": [], **SETTING, "reason": "first week went well",
        },
        "GET exit /brokers": page(
            account("paper", broker="paper", root_url="http://127.0.0.1:8003", token_ends_at=None),
            account("zerodha-1", status="DISCONNECTED"),
            account("zerodha-2", token_refused_at=ago(40), waiting_error=expired),
        ),
        "GET exit /audit": page(
            act(70, "risk-desk", "kill_switch.put", "kill_switch", "OFF", "ALL", "the feed of NSE is behind"),
            act(5400, "chief", "rollout.put", "rollout", "limited", "full", "first week went well"),
        ),
        "GET trade /audit": page(),
    }  # fmt: skip


def answer_of_process(request: httpx.Request) -> httpx.Response:
    """Return what a process answers at `/readyz` and `/metrics`."""
    if request.url.path == "/metrics":
        return httpx.Response(200, text=METRICS.get(request.url.host.removeprefix("p-"), ""))
    return httpx.Response(200, json={"status": "ready"})
