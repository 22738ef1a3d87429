"""Whatever the broker does, its books and ours agree to the share and the paisa, and no trade has two orders at a time.

`make chaos-orders` is the long form; `make chaos-orders SEED=7 TRADES=200` replays a schedule, and
`EXECUTION=trade_management` has trade management execute the exits.
"""

from __future__ import annotations

import random
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from services.exit_qualification.domain.intent_state_machine import LIVE
from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.orders.asked_exits import need_not_ask
from services.exit_qualification.orders.brokers.port import BrokerUnavailable
from services.exit_qualification.orders.brokers.registry import BOOK_DAYS
from services.exit_qualification.orders.terms import OrderTerms
from services.exit_qualification.storage.operator_controls import SwitchRepository
from services.exit_qualification.storage.order_budgets import OrderLimits
from services.paper_broker.positions import Entry
from shared.clock import SystemClock
from shared.contracts.vocabulary import Direction, ExitReason
from shared.exit_rules.plan import ExitPlan
from shared.exit_rules.protective_stop import ProtectiveStopTerms
from shared.money import from_units
from shared.postgres.audit import Act
from shared.settings import Execution
from tests.chaos.orders.books import Books
from tests.chaos.orders.extent import EXECUTIONS, SEED, TRADES
from tests.chaos.orders.market_of_faults import STOP_FAULTS, MarketOfFaults
from tests.chaos.orders.orchestrator import Orchestrator
from tests.integration.exit_qualification.orders.order_scenario import OrderScenario
from tests.integration.exit_qualification.orders.test_broker_contract import kite_brokers
from tests.integration.exit_qualification.trade_management import trade_management
from tests.integration.paper_broker.conftest import RunningBroker, running_broker
from tests.integration.trade_management import ledger
from tests.support.servers import Database
from tests.support.waiting import wait_until

AT_A_TIME = 6
LIMIT_S = 60 + 2 * TRADES
TERMS = OrderTerms(
    claim=timedelta(seconds=2),
    call_limit=timedelta(seconds=0.2),
    unfilled_cancel=timedelta(seconds=0.4),
    absence_gap=timedelta(seconds=0.2),
    refusal_gap=timedelta(seconds=0.1),
    late_watch=timedelta(),
    backoff_first_s=0.05,
    backoff_max_s=0.2,
    pass_limit=timedelta(seconds=30),
    limits=OrderLimits(per_second=1000, per_minute=60_000, per_day=1_000_000),
    order_limit=100_000,
)
BUSY = text("SELECT DISTINCT trade_id FROM exit_intents WHERE status = ANY (:live)")
RELEASE = text("UPDATE exit_episodes SET cooldown_until = clock_timestamp() WHERE cooldown_until > clock_timestamp()")


@dataclass
class Run:
    """One schedule: trades of one symbol each, some closed partly by hand, then exited under faults."""

    scenario: OrderScenario
    paper: RunningBroker
    trades_of: Engine
    market: MarketOfFaults
    books: Books
    dice: random.Random
    orchestrator: Orchestrator | None = None
    trades: dict[str, OpenTrade] = field(default_factory=dict)
    by_hand: Counter[str] = field(default_factory=Counter)
    done: set[UUID] = field(default_factory=set)
    is_disturbed: bool = True

    def open_trade(self) -> None:
        """Open a trade in both services and at the broker; some are closed by hand before anything exits them."""
        direction = self.dice.choice(list(Direction))
        symbol, quantity = f"NSE:S{len(self.trades)}", self.dice.randint(1, 50)
        is_protected = self.dice.random() < 0.4
        plan = protected_plan(direction) if is_protected else None
        trade = self.scenario.open_trade(quantity, direction, symbol=symbol, plan=plan)
        ledger.open_trade(
            self.trades_of,
            direction,
            trade_id=trade.trade_id,
            symbol=symbol,
            quantity=quantity,
            open_quantity=quantity,
            entry_price=from_units(trade.entry_price),
        )
        self.trades[symbol] = trade
        signed = direction.sign * quantity
        now_ms = self.paper.desk.records.now_ms()
        self.paper.enter(Entry(str(trade.trade_id), "PAPER", symbol, "MIS", signed, trade.entry_price, now_ms))
        self.market.price(symbol)
        if is_protected:
            self._arm(symbol, quantity)
        elif self.dice.random() < 0.25:
            self.market.exit_by_hand(trade, self.dice.choice([quantity, self.dice.randint(1, quantity)]))
            if by_hand := self.books.by_hand(symbol):
                self.by_hand[symbol] = by_hand

    def _arm(self, symbol: str, quantity: int) -> None:
        """Let the broker hold a stop of a trade, under a fault, while the price moves."""
        self._orchestrate()
        while self.scenario.sender.execute_next():  # a stop is sent after approved exits
            pass
        self.market.fault(symbol, quantity, STOP_FAULTS)
        self._keep_stops()
        self.market.price(symbol)
        self._keep_stops()

    def _keep_stops(self) -> None:
        with suppress(BrokerUnavailable):  # the next step asks again
            self.scenario.stops.keep_once()

    def step(self) -> None:
        """Exit what is open and idle, send, disturb, read the books; nothing else runs meanwhile."""
        remaining = self.books.remaining(list(self.trades.values()))
        self.done = {trade_id for trade_id, left in remaining.items() if left <= 0}
        self._detect(remaining)
        self._keep_stops()
        self._move_prices()
        self._orchestrate()
        for _ in range(self.dice.randint(0, AT_A_TIME)):
            if self.is_disturbed and self.dice.random() < 0.3:
                self.market.disturb("place")
            self.scenario.sender.execute_next()
        for symbol in self.dice.sample(sorted(self.trades), min(2, len(self.trades))):
            if self.dice.random() < 0.1:
                self.market.cancel_by_hand(symbol)
            elif self.dice.random() < 0.1:
                self.market.resize_by_hand(symbol)
        if self.is_disturbed and self.dice.random() < 0.4:
            self.market.disturb(self.dice.choice(["books", "cancel", "modify", "positions"]))
        self._keep_stops()
        with suppress(BrokerUnavailable):  # the next step reads again
            self.scenario.reconciler.reconcile_once()
        self.scenario.requalification.requalify_once()
        self.scenario.remainders.exit_once()
        self.scenario.compare_positions()
        unbounded = self.market.overfillable | self.by_hand.keys()
        assert list(self.books.oversold(self.trades, unbounded)) == []

    def _orchestrate(self) -> None:
        if self.orchestrator is not None:
            self.orchestrator.step(is_disturbed=self.is_disturbed)

    def _detect(self, remaining: dict[UUID, int]) -> None:
        with self.scenario.engine.begin() as connection:
            busy = set(connection.execute(BUSY, {"live": sorted(LIVE)}).scalars())
            connection.execute(RELEASE)
        for symbol, trade in self.trades.items():
            adopted = remaining[trade.trade_id] <= trade.quantity - self.by_hand[symbol]
            if trade.trade_id in self.done | busy or not adopted:
                continue
            self.market.fault(symbol, remaining[trade.trade_id])
            self.scenario.detect(trade, self.dice.choice([ExitReason.TARGET, ExitReason.STOP_LOSS]))

    def _move_prices(self) -> None:
        for symbol, trade in self.trades.items():
            if trade.trade_id not in self.done and self.dice.random() < 0.5:
                self.market.price(symbol)

    def finish(self) -> None:
        """Let every trade exit without further faults."""
        deadline = self.scenario.clock.monotonic() + LIMIT_S
        self.is_disturbed = False
        while len(self.done) < len(self.trades):
            self.market.calm()
            self.step()
            left = sorted(trade.symbol for trade in self.trades.values() if trade.trade_id not in self.done)
            assert self.scenario.clock.monotonic() < deadline, f"still open after {LIMIT_S} s: {left}"

    def settled(self) -> bool:
        """Read the books once more; return whether no exit is left to be decided, and no fill to be read."""
        self.scenario.reconciler.reconcile_once()
        self.scenario.requalification.requalify_once()
        with self.scenario.engine.begin() as connection:
            decided = not connection.execute(BUSY, {"live": sorted(LIVE)}).scalars().all()
        # Late fills are looked for at intervals that grow with the books: the last one may still be unread.
        return decided and self.books.unread() == set()


def protected_plan(direction: Direction) -> ExitPlan:
    """A plan whose stop the broker holds too."""
    target, stop = (1010, 990) if direction is Direction.LONG else (990, 1010)
    terms = ProtectiveStopTerms(offset=Decimal(2))
    return ExitPlan(target=Decimal(target), stop_loss=Decimal(stop), protective_stop=terms)


def connect(engine: Engine, paper: RunningBroker) -> None:
    """Point the user broker at the paper broker."""
    with engine.begin() as connection:
        switches = SwitchRepository(connection)
        there = replace(switches.broker("paper"), root_url=paper.url)
        switches.put_broker(there, Act("test", "set up"), book_days=BOOK_DAYS)


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_broker_books_and_ours_agree_after_any_fault_schedule(
    execution: Execution, exit_engine: Engine, trade_engine: Engine, database: Database, tmp_path: Path
) -> None:
    dice = random.Random(SEED)
    with ExitStack() as stack:
        paper = stack.enter_context(running_broker(tmp_path))
        connect(exit_engine, paper)
        orchestrator, asked = None, need_not_ask
        if execution is Execution.TRADE_MANAGEMENT:
            trades = stack.enter_context(trade_management(exit_engine, trade_engine, database))
            orchestrator, asked = Orchestrator(trades, random.Random(SEED)), trades.asked
        scenario = OrderScenario(exit_engine, kite_brokers("127.0.0.1"), TERMS, SystemClock(), asked=asked)
        books = Books(exit_engine, trade_engine, paper)
        run = Run(scenario, paper, trade_engine, MarketOfFaults(paper, dice), books, dice, orchestrator)
        while len(run.trades) < TRADES:
            for _ in range(min(AT_A_TIME, TRADES - len(run.trades))):
                run.open_trade()
            run.step()
        run.finish()
        wait_until(lambda: not paper.anything_due(), "nothing more comes to an order")
        wait_until(run.settled, "every order is decided")
        scenario.compare_positions()
        books.close_trades()
        assert books.differences(list(run.trades.values())) == [], (
            f"replay: make chaos-orders SEED={SEED} TRADES={TRADES} EXECUTION={execution}"
        )
