"""A market gap through a protective stop while nothing but the broker is alive."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.storage.exit_lists import ExitFilter, ExitLists
from services.paper_broker.positions import Entry
from shared.clock import SystemClock
from shared.contracts.vocabulary import Direction, ExitReason, IntentStatus, ProtectiveStopStatus
from shared.exit_rules.plan import ExitPlan
from shared.money import from_units
from tests.chaos.orders.books import Books
from tests.chaos.orders.test_agreement import TERMS, connect, protected_plan
from tests.integration.exit_qualification.orders.order_scenario import SYMBOL, OrderScenario
from tests.integration.exit_qualification.orders.test_broker_contract import kite_brokers
from tests.integration.paper_broker.conftest import RunningBroker, running_broker
from tests.integration.trade_management import ledger
from tests.support.waiting import wait_until


def started(engine: Engine) -> OrderScenario:
    """The order process after a start: it knows only the database and the broker."""
    return OrderScenario(engine, kite_brokers("127.0.0.1"), TERMS, SystemClock())


def entered(
    scenario: OrderScenario, paper: RunningBroker, trades: Engine, direction: Direction, plan: ExitPlan
) -> OpenTrade:
    """A trade of 100 at 1000 in both services and at the broker, with its stop."""
    paper.price(SYMBOL, "1000.00")
    trade = scenario.open_trade(100, direction, plan=plan)
    ledger.open_trade(
        trades,
        direction,
        trade_id=trade.trade_id,
        symbol=SYMBOL,
        quantity=100,
        open_quantity=100,
        entry_price=from_units(trade.entry_price),
    )
    now_ms, signed = paper.desk.records.now_ms(), direction.sign * 100
    paper.enter(Entry(str(trade.trade_id), "PAPER", SYMBOL, "MIS", signed, trade.entry_price, now_ms))
    wait_until(lambda: _keep(scenario) == ProtectiveStopStatus.ARMED, "the stop is armed")
    return trade


@pytest.mark.parametrize(
    ("direction", "gap", "gross"), [(Direction.LONG, "970.35", "-2965.00"), (Direction.SHORT, "1033.15", "-3315.00")]
)
@pytest.mark.parametrize("ticks_first", [True, False])
def test_gap_with_only_broker_alive_gives_one_exact_exit(
    exit_engine: Engine,
    trade_engine: Engine,
    tmp_path: Path,
    direction: Direction,
    gap: str,
    gross: str,
    ticks_first: bool,
) -> None:
    with running_broker(tmp_path) as paper:
        connect(exit_engine, paper)
        trade = entered(started(exit_engine), paper, trade_engine, direction, protected_plan(direction))
        paper.price(SYMBOL, gap)  # only the broker and the databases are left
        after = started(exit_engine)
        if ticks_first:  # the tick worker reads its missed ticks before the broker's books are read
            after.detect(trade, ExitReason.STOP_LOSS)
            assert not after.sender.execute_next()
        wait_until(lambda: _keep(after) == ProtectiveStopStatus.TRIGGERED, "the stop is taken over")
        after.sender.execute_next()
        after.reconciler.reconcile_once()
        with exit_engine.connect() as connection:
            exits = ExitLists(connection).oldest(ExitFilter(trade_id=trade.trade_id), 100)
        withdrawn = [IntentStatus.CANCELLED] if ticks_first else []
        assert [it.status for it in exits] == [*withdrawn, IntentStatus.FILLED]
        expect_closed(exit_engine, trade_engine, paper, trade, exits[-1], gross)


def test_gap_through_trailed_stop_gives_one_exact_exit(
    exit_engine: Engine, trade_engine: Engine, tmp_path: Path
) -> None:
    terms = {"trailing_stop": {"amount": "5"}, "protective_stop": {"offset": "2", "trail_step": "1"}}
    with running_broker(tmp_path) as paper:
        connect(exit_engine, paper)
        before = started(exit_engine)
        trade = entered(before, paper, trade_engine, Direction.LONG, ExitPlan.model_validate(terms))
        paper.price(SYMBOL, "1010.60")
        before.best_price("1010.60", 1)
        follower = started(exit_engine)
        wait_until(lambda: _keep(follower, trigger="1003") == ProtectiveStopStatus.ARMED, "the stop has followed")
        paper.price(SYMBOL, "985.25")  # only the broker and the databases are left
        after = started(exit_engine)
        wait_until(lambda: _keep(after) == ProtectiveStopStatus.TRIGGERED, "the stop is taken over")
        after.reconciler.reconcile_once()
        with exit_engine.connect() as connection:
            (exit_,) = ExitLists(connection).oldest(ExitFilter(trade_id=trade.trade_id), 100)
        assert exit_.status is IntentStatus.FILLED
        expect_closed(exit_engine, trade_engine, paper, trade, exit_, "-1475.00")


def expect_closed(
    exits: Engine, trades: Engine, paper: RunningBroker, trade: OpenTrade, exit_: ExitIntent, gross: str
) -> None:
    """The trade is closed by this exit, from the broker's only order, and all books agree."""
    assert len(paper.client().orders()) == 1
    books = Books(exits, trades, paper)
    books.close_trades()
    assert books.differences([trade]) == []
    with trades.connect() as connection:
        (closed,) = connection.execute(text("SELECT status, exit_intent_id, gross_pnl FROM trades"))
    assert (closed.status, closed.exit_intent_id) == ("CLOSED", exit_.intent_id)
    assert closed.gross_pnl == Decimal(gross)


def _keep(scenario: OrderScenario, trigger: str | None = None) -> str | None:
    """Run a pass; return the status of the latest stop, if it has the given trigger."""
    scenario.stops.keep_once()
    latest = "SELECT status, trigger_price FROM protective_stops ORDER BY created_at DESC LIMIT 1"
    with scenario.engine.connect() as connection:
        row = connection.execute(text(latest)).one_or_none()
    if row is None or (trigger is not None and row.trigger_price != Decimal(trigger)):
        return None
    return str(row.status)
