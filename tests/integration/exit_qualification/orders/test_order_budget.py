"""The order budget of an account holds over all senders, and stops go before targets."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from services.exit_qualification.domain.order_terms import BrokerStatus
from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.orders.accounts.account_errors import AccountErrors
from services.exit_qualification.storage import order_budgets
from services.exit_qualification.storage.order_budgets import Grant, OrderBudgetRepository, OrderLimits, Unused, Wanted
from services.exit_qualification.storage.send_fence import FRESH_S
from shared.contracts.vocabulary import ExitReason, IntentStatus
from shared.postgres.engine import open_engine
from shared.postgres.notifications import Listener
from tests.integration.exit_qualification.orders.order_scenario import PATIENT, OrderScenario
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker
from tests.support.clocks import SteppedClock
from tests.support.servers import Database
from tests.support.waiting import LIMIT_S

ACCOUNT = UserBroker("paper", "kite", "PAPER", "http://127.0.0.1:1", BrokerStatus.CONNECTED)
SECOND = timedelta(seconds=1)
NONE = Unused()


def take(engine: Engine, orders: int, limits: OrderLimits, unused: Unused = NONE) -> Grant:
    with engine.begin() as connection:
        return OrderBudgetRepository(connection, limits).ask_all([Wanted(ACCOUNT, orders, unused)]).get()[0]


def test_no_second_sees_more_orders_than_the_limit(exit_engine: Engine) -> None:
    limits, wanted = OrderLimits(per_second=10), 25
    granted: list[int] = []

    def take_all() -> None:
        while sum(granted) < wanted:
            granted.append(take(exit_engine, 3, limits).granted)

    takers = [threading.Thread(target=take_all) for _ in range(3)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join(LIMIT_S)
    with exit_engine.connect() as connection:
        taken: list[datetime] = connection.execute(text("SELECT taken_at FROM order_budgets")).scalar_one()
    assert len(taken) == sum(granted) >= wanted
    assert all(later - earlier > SECOND for earlier, later in zip(taken, taken[10:], strict=False))


@pytest.mark.parametrize(
    ("limits", "limit"),
    [
        (OrderLimits(per_second=4, per_minute=100), "second"),
        (OrderLimits(per_second=10, per_minute=4), "minute"),
        (OrderLimits(per_second=10, per_minute=100, per_day=4), "day"),
    ],
)
def test_each_limit_grants_remainder_and_says_when_more_is_free(
    exit_engine: Engine, limits: OrderLimits, limit: str
) -> None:
    first, second, third = (take(exit_engine, 3, limits) for _ in range(3))
    assert (first.granted, second.granted, third.granted) == (3, 1, 0)
    assert (first.limited_by, second.limited_by, third.limited_by) == (None, limit, limit)
    assert first.free_at is None
    assert second.free_at is not None
    assert second.free_at == third.free_at


def test_orders_that_were_not_sent_are_handed_back_once(exit_engine: Engine) -> None:
    limits = OrderLimits(per_second=4, per_day=5)
    first = take(exit_engine, 4, limits)
    assert take(exit_engine, 1, limits).granted == 0
    second = take(exit_engine, 3, limits, Unused(3, first.taken_at))
    assert (second.granted, second.taken_at > first.taken_at) == (3, True)
    with exit_engine.connect() as connection:
        taken = connection.execute(text("SELECT taken_at FROM order_budgets")).scalar_one()
    assert taken == [first.taken_at, *[second.taken_at] * 3], "what leaves later counts from then on"
    assert take(exit_engine, 4, limits, Unused(4, first.taken_at)).granted == 1, "one of that grant was left"
    assert take(exit_engine, 1, limits, Unused(3, second.taken_at)).granted == 1, "today's are counted back too"


def test_stale_clearance_does_not_use_up_budget(exit_engine: Engine, broker: ScriptedBroker) -> None:
    clock = SteppedClock()
    scenario = OrderScenario(exit_engine, broker, replace(PATIENT, limits=OrderLimits(per_second=4)), clock)
    calls: list[None] = []

    def answer() -> None:
        calls.append(None)
        clock.at_s += 2 * FRESH_S * (len(calls) == 2)

    broker.on_place = answer
    intents = [scenario.approved() for _ in range(4)]
    assert scenario.sender.execute_next()
    assert {scenario.intent(it).status for it in intents} == {IntentStatus.PLACED}
    assert len(broker.placed) == 4


def taken_at(engine: Engine) -> list[datetime]:
    with engine.connect() as connection:
        found: list[datetime] = connection.execute(text("SELECT taken_at FROM order_budgets")).scalar_one()
        return found


def now(engine: Engine) -> datetime:
    with engine.connect() as connection:
        found: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        return found


@pytest.mark.parametrize("call_s", [0.01, 0.2, 2.0])
def test_an_order_answered_late_counts_from_its_answer(
    exit_engine: Engine, broker: ScriptedBroker, call_s: float
) -> None:
    clock, called_at = SteppedClock(), list[datetime]()
    scenario = OrderScenario(exit_engine, broker, PATIENT, clock)

    def answer() -> None:
        called_at.append(now(exit_engine))
        clock.at_s += call_s

    broker.on_place = answer
    scenario.approved()
    assert scenario.sender.execute_next()
    assert [taken > called_at[0] for taken in taken_at(exit_engine)] == [call_s > 0.1]


def test_orders_counted_again_are_those_of_their_grant_alone(exit_engine: Engine) -> None:
    limits = OrderLimits(per_second=10)
    first, second = take(exit_engine, 3, limits), take(exit_engine, 2, limits)
    with exit_engine.begin() as connection:
        OrderBudgetRepository(connection, limits).count_from_now(ACCOUNT, 2, first.taken_at)
    taken = taken_at(exit_engine)
    assert taken[:3] == [first.taken_at, second.taken_at, second.taken_at]
    assert len(taken) == 5 and all(later > second.taken_at for later in taken[3:])
    assert take(exit_engine, 9, limits, Unused(1, first.taken_at)).granted == 6, "the unsent one is handed back"


def test_orders_beyond_the_budget_wait_and_say_so(
    exit_engine: Engine, broker: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = OrderScenario(exit_engine, broker, replace(PATIENT, limits=OrderLimits(per_second=1000, per_minute=3)))
    intents = [scenario.approved() for _ in range(6)]
    assert scenario.sender.execute_next()
    assert len(broker.placed) == 3
    assert not scenario.sender.execute_next(), "the account's orders are used up"
    monkeypatch.setattr(order_budgets, "SHOWN_AFTER_S", 0)
    AccountErrors(scenario.open_unit, scenario.terms.limits).note_once()
    waiting = [it for it in map(scenario.intent, intents) if it.status is IntentStatus.APPROVED]
    assert [it.error_code for it in waiting] == ["ORDER_BUDGET"] * 3
    let_a_minute_pass(exit_engine)
    assert scenario.sender.execute_next()
    assert len(broker.placed) == 6
    assert broker.reads == 0, "an order that was never sent is not looked up"
    assert {scenario.expect(it, IntentStatus.PLACED).error_code for it in intents} == {None}


def let_a_minute_pass(engine: Engine) -> None:
    """Move the account's orders, and the exits waiting for the next one, into the past."""
    ago = {"by": timedelta(minutes=2)}
    with engine.begin() as connection:
        taken_at = "ARRAY(SELECT t - :by FROM unnest(taken_at) AS t)"
        connection.execute(text(f"UPDATE order_budgets SET free_at = free_at - :by, taken_at = {taken_at}"), ago)
        waiting = "UPDATE exit_intents SET claimed_until = claimed_until - :by, version = version + 1"
        connection.execute(text(f"{waiting} WHERE status = 'APPROVED'"), ago)


def test_a_stop_goes_before_older_targets(exit_engine: Engine, broker: ScriptedBroker) -> None:
    scenario = OrderScenario(exit_engine, broker, replace(PATIENT, batch=1))
    scenario.approved()
    stop = scenario.detect(scenario.open_trade(), ExitReason.STOP_LOSS)
    assert scenario.sender.execute_next()
    assert [order.tag for order in broker.placed] == [stop.client_order_id]


def test_an_approved_exit_notifies_who_listens(scenario: OrderScenario, database: Database) -> None:
    engine = open_engine(database.exit_url, "exit_qualification", application="test")
    listener = Listener(engine, "exit_intents_to_send")
    assert not listener.wait(0.01)
    scenario.approved()
    assert listener.wait(LIMIT_S)
    listener.close()
    engine.dispose()
