"""A stop at the broker that fills once it was cancelled and its trade exited otherwise."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine

from services.exit_qualification.storage.exit_fills import ExitFillRepository
from shared.contracts.vocabulary import Direction, ExitReason, ProtectiveStopStatus
from tests.chaos.orders.books import Books
from tests.chaos.orders.test_agreement import connect, protected_plan
from tests.chaos.orders.test_protective_stop_outage import _keep, entered, started
from tests.integration.exit_qualification.orders.order_scenario import SYMBOL
from tests.integration.paper_broker.conftest import running_broker
from tests.support.waiting import wait_until


def test_books_agree_on_a_stop_filled_after_its_trade_closed(
    exit_engine: Engine, trade_engine: Engine, tmp_path: Path
) -> None:
    with running_broker(tmp_path) as paper:
        connect(exit_engine, paper)
        scenario = started(exit_engine)
        paper.fault({"kind": "fill_after_cancel", "after_ms": 1000}, SYMBOL)
        trade = entered(scenario, paper, trade_engine, Direction.LONG, protected_plan(Direction.LONG))
        scenario.detect(trade, ExitReason.TARGET)
        wait_until(lambda: _keep(scenario) == ProtectiveStopStatus.CANCELLED, "the stop is cancelled")
        paper.price(SYMBOL, "985.00")  # beyond its trigger

        def is_exited() -> bool:
            scenario.sender.execute_next()
            scenario.reconciler.reconcile_once()
            with exit_engine.connect() as connection:
                filled = ExitFillRepository(connection).totals_of_trades([trade.trade_id])
            return filled.get(trade.trade_id, 0) >= trade.quantity

        wait_until(is_exited, "the trade is exited")
        wait_until(lambda: not paper.anything_due(), "nothing more comes to an order")
        scenario.reconciler.reconcile_once()
        books = Books(exit_engine, trade_engine, paper)
        books.close_trades()
        assert books.differences([trade]) == []
