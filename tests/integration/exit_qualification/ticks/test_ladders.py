"""A target ladder from a plan on Kafka to its exits: gaps, restarts, and a locked row."""

from __future__ import annotations

from typing import Any

from shared.contracts.trades import TradeOpened
from shared.settings import Settings
from tests.integration.exit_qualification.ticks.worker_harness import Book, Market, running_worker
from tests.support.row_locks import held_row
from tests.support.servers import Database
from tests.support.trades import opened

PLAN: dict[str, Any] = {
    "stop_loss": "990",
    "targets": [
        {"price": "1010", "percent": "50"},
        {"price": "1020", "percent": "25"},
        {"price": "1030", "percent": "25"},
    ],
}


def _exits(book: Book, trade: TradeOpened) -> list[tuple[str, int | None, int, str]]:
    query = "SELECT exit_reason, leg, quantity, status FROM exit_intents WHERE trade_id = :id ORDER BY episode_id, leg"
    return [tuple(row) for row in book.rows(query, id=trade.trade_id)]


def test_legs_exit_across_restart_until_stop_takes_over(settings: Settings, market: Market, book: Book) -> None:
    quick = settings.model_copy(update={"rearm_poll_ms": 50})
    trade = opened(plan=PLAN)
    market.open(trade)
    with running_worker(quick):
        book.await_trades(1)
        market.tick("1010.00")
        book.await_exits(1)
    with running_worker(quick):
        market.tick("1031.00")
        book.await_exits(3)
        assert _exits(book, trade) == [
            ("TARGET", 1, 50, "APPROVED"),
            ("TARGET", 2, 25, "APPROVED"),
            ("TARGET", 3, 25, "APPROVED"),
        ]
        market.tick("990.00")  # no leg was sent: the stop takes over those not about to be
        book.await_exits(4)
    live = {(reason, leg): quantity for reason, leg, quantity, status in _exits(book, trade) if status == "APPROVED"}
    assert live["STOP_LOSS", None] >= 50  # the first leg has waited for longer than a restart
    assert sum(live.values()) == 100


def test_leg_and_stop_touched_by_held_trade_both_exit(
    settings: Settings, database: Database, market: Market, book: Book
) -> None:
    stuck = opened(plan=PLAN)
    market.open(stuck)
    held = f"SELECT 1 FROM open_trades WHERE trade_id = '{stuck.trade_id}'"
    with running_worker(settings):
        book.await_trades(1)
        with held_row(database.admin_url, "exit_qualification", held):
            for second, price in enumerate(("1010.00", "989.00", "1000.00")):
                market.tick(price, ts=f"2026-01-13T03:45:0{second}Z")
            book.await_tick(market.partition(), 3)
        book.await_exits(2)
    assert sorted(_exits(book, stuck), key=str) == [("STOP_LOSS", None, 50, "APPROVED"), ("TARGET", 1, 50, "APPROVED")]
