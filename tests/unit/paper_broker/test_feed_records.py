"""Records become ticks and entries; unreadable ones are counted and skipped."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from services.paper_broker.feed_records import BOOKED, FeedRecord, read_batch
from services.paper_broker.positions import Entry
from services.paper_broker.quotes import PriceTick
from shared.contracts.topics import MARKET_TICKS, TRADES
from shared.contracts.trades import TradeAdjusted, TradeEvent, TradeOpened

TICK = {"symbol": "NSE:INFY", "ltp": "1520.35", "ts": "2026-01-13T09:15:00.123Z", "seq": 1}
OPENED = {
    "trade_id": "018f9c1e-0000-7000-8000-000000000001",
    "symbol": "NSE:INFY",
    "direction": "SHORT",
    "product_type": "MIS",
    "user_broker_id": "paper",
    "quantity": 100,
    "entry_price": "1000.05",
    "exit_plan": {"target": "990.00"},
    "entered_at": "2026-01-13T03:45:00Z",
}


def record(topic: str, body: Any, offset: int = 0, event_type: str = "", partition: int = 0) -> FeedRecord:
    """A record of `topic` with `body` as JSON."""
    return FeedRecord(topic, f"p.{topic}", partition, offset, event_type, json.dumps(body).encode())


def opened(offset: int = 0, **changes: Any) -> FeedRecord:
    """A TradeOpened."""
    return record(TRADES, {**OPENED, **changes}, offset, TradeOpened.event_type())


def test_a_tick_is_read_exactly() -> None:
    batch = read_batch([record(MARKET_TICKS, TICK)])
    assert batch.ticks == [PriceTick("NSE:INFY", 15_203_500, 1_768_295_700_123_000, 1)]


def test_a_short_trade_becomes_a_short_entry_at_its_account() -> None:
    (entry,) = read_batch([opened()]).entries
    assert entry == Entry(OPENED["trade_id"], "PAPER", "NSE:INFY", "MIS", -100, 10_000_500, 1_768_275_900_000)  # type: ignore[arg-type]  # values of a plain dict


def test_the_malformed_are_counted_and_their_offsets_move_on() -> None:
    nonsense = FeedRecord(MARKET_TICKS, f"p.{MARKET_TICKS}", 3, 7, "", b"nonsense")
    batch = read_batch(
        [
            nonsense,
            record(MARKET_TICKS, {**TICK, "ltp": "0"}, 8, partition=3),
            FeedRecord(MARKET_TICKS, f"p.{MARKET_TICKS}", 3, 9, "", None),
            record(TRADES, OPENED, 1, "io.exitflow.Unheard.v1"),
            opened(2, quantity=10**9, entry_price="99999999.00"),
            opened(3, entered_at="9999-12-31T23:59:59Z"),
            record(MARKET_TICKS, {**TICK, "ts": "0001-01-01T00:00:00Z"}, 9, partition=3),
            record(MARKET_TICKS, TICK, 10, partition=3),
        ]
    )
    assert (len(batch.refused), len(batch.ticks), len(batch.entries)) == (7, 1, 0)
    assert batch.offsets == {(f"p.{MARKET_TICKS}", 3): 11, (f"p.{TRADES}", 0): 4}


@pytest.mark.parametrize("event", [TradeOpened, TradeAdjusted])
def test_unsigned_event_with_bookings_is_refused(event: type[TradeEvent]) -> None:
    adjustment = {"action_id": OPENED["trade_id"], "kind": "SPLIT", "new_symbol": "NSE:INFY", "shares_before": 1,
                  "shares_after": 2, "open_quantity": 200, "open_quantity_before": 100, "plan_version": 2,
                  "effective_at": "2026-01-13T03:45:00Z", "adjusted_at": "2026-01-13T03:45:00Z"}  # fmt: skip
    genuine = record(TRADES, OPENED | adjustment, 0, event.event_type())
    assert read_batch([genuine]).entries
    batch = read_batch([replace(genuine, is_trusted=False)])
    assert (batch.entries, [fault.code for _, fault in batch.refused]) == ([], ["untrusted"])
    assert event.event_type() in BOOKED


def test_other_trade_events_book_nothing() -> None:
    closed = {
        **{name: OPENED[name] for name in ("trade_id", "symbol", "direction", "product_type", "user_broker_id")},
        "exit_intent_id": OPENED["trade_id"],
        "quantity": 100,
        "entry_price": "1000.00",
        "exit_price": "990.00",
        "exit_reason": "TARGET",
        "gross_pnl": "1000.00",
        "charges": "1.00",
        "net_pnl": "999.00",
        "closed_at": "2026-01-13T03:45:00Z",
    }
    batch = read_batch([record(TRADES, closed, 4, "io.exitflow.TradeClosed.v1")])
    assert (batch.entries, batch.refused, batch.offsets) == ([], [], {(f"p.{TRADES}", 0): 5})
