"""Exits of many accounts: claimed and recorded together, and none waits for the broker of another."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

import msgspec
import pytest
from sqlalchemy import Engine, text

from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.order_terms import BrokerStatus
from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.orders.reconciling.external_exits import AGAIN_S, AT_ONCE, LOOK_S
from services.exit_qualification.orders.reconciling.order_outcomes import OrderOutcome
from services.exit_qualification.orders.reconciling.placed_orders import read_filled
from services.exit_qualification.storage.order_budgets import OrderBudgetRepository, OrderLimits, Wanted
from shared.contracts.vocabulary import ExitReason, IntentStatus
from tests.integration.exit_qualification.orders.order_scenario import PATIENT, SYMBOL, OrderScenario
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker
from tests.support.clocks import SteppedClock
from tests.support.row_locks import held_row
from tests.support.servers import Database
from tests.support.statements import sent_statements
from tests.support.waiting import LIMIT_S

ACCOUNTS = [f"account{n}" for n in range(4)]
INSERT = """
INSERT INTO user_brokers (user_broker_id, broker, account, root_url, status)
SELECT name, 'kite', upper(name), 'http://127.0.0.1:1', 'CONNECTED' FROM unnest(CAST(:names AS text[])) AS name
"""


@pytest.fixture
def accounts(exit_engine: Engine, broker: ScriptedBroker) -> OrderScenario:
    """A scenario with four accounts and as many senders."""
    with exit_engine.begin() as connection:
        connection.execute(text(INSERT), {"names": ACCOUNTS})
    return OrderScenario(exit_engine, broker, replace(PATIENT, workers=len(ACCOUNTS)))


class WhoAsks(ScriptedBroker):
    """A broker with a list of the accounts asked for positions."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def port(self, user_broker: UserBroker) -> ScriptedBroker:
        self.asked.append(user_broker.user_broker_id)
        return self


@pytest.fixture
def watching(exit_engine: Engine) -> tuple[OrderScenario, WhoAsks, SteppedClock]:
    """A scenario with twenty accounts, each with an open trade, on a stepped clock."""
    names, asking, clock = [f"account{n:02d}" for n in range(20)], WhoAsks(), SteppedClock()
    with exit_engine.begin() as connection:
        connection.execute(text(INSERT), {"names": names})
    scenario = OrderScenario(exit_engine, asking, PATIENT, clock)
    for name in names:
        scenario.open_trade(user_broker_id=name)
    return scenario, asking, clock


def test_positions_of_many_accounts_are_not_all_read_at_once(
    watching: tuple[OrderScenario, WhoAsks, SteppedClock],
) -> None:
    scenario, asking, clock = watching
    most, until_s = 0, clock.at_s + PATIENT.position_watch.total_seconds() - LOOK_S
    while clock.at_s < until_s:
        before = len(asking.asked)
        scenario.external.look_once()
        most = max(most, len(asking.asked) - before)
        clock.at_s += LOOK_S
    assert most == AT_ONCE
    assert sorted(asking.asked) == sorted({*asking.asked}), "each once in the interval"
    assert len(asking.asked) == 20


def test_account_is_compared_once_per_pause_without_other_trades(
    watching: tuple[OrderScenario, WhoAsks, SteppedClock], exit_engine: Engine
) -> None:
    scenario, asking, clock = watching
    for _ in range(20 // AT_ONCE):
        scenario.external.look_once()
        clock.at_s += LOOK_S
    last = asking.asked[-1]
    with exit_engine.begin() as connection:
        connection.execute(
            text("UPDATE open_trades SET status = 'CLOSED' WHERE user_broker_id <> :last"), {"last": last}
        )
    scenario.external._next_s = 0.0  # a round begins now
    scenario.external.look_once()
    assert asking.asked.count(last) == 1
    clock.at_s += AGAIN_S
    scenario.external.look_once()
    assert asking.asked.count(last) == 2


def of_one_query(statements: Sequence[str], name: str) -> int:
    return sum(name in statement for statement in statements)


def test_one_query_claims_exits_of_every_account(accounts: OrderScenario, broker: ScriptedBroker) -> None:
    intents = [accounts.approved(user_broker_id=name) for name in ACCOUNTS for _ in range(2)]
    with sent_statements() as statements:
        assert accounts.sender.execute_next()
    assert of_one_query(statements, "exit_intents.find_pending_approved") == 1
    assert of_one_query(statements, "exit_intents.submit:") == 1
    assert {accounts.intent(it).status for it in intents} == {IntentStatus.PLACED}
    assert len(broker.placed) == len(intents)


def test_account_with_most_urgent_exit_sends_its_exits_first(accounts: OrderScenario, broker: ScriptedBroker) -> None:
    targets = [accounts.approved(user_broker_id=name) for name in (ACCOUNTS[0], ACCOUNTS[1], ACCOUNTS[1])]
    stop = accounts.detect(accounts.open_trade(user_broker_id=ACCOUNTS[1]), ExitReason.STOP_LOSS)
    assert accounts.sender.execute_next()
    urgent = [stop, targets[1], targets[2], targets[0]]
    assert [order.tag for order in broker.placed] == [it.client_order_id for it in urgent]


def test_an_account_whose_broker_hangs_holds_up_no_other(accounts: OrderScenario, broker: ScriptedBroker) -> None:
    stuck, other = (accounts.approved(user_broker_id=name) for name in ACCOUNTS[:2])
    hangs, go_on = threading.Event(), threading.Event()

    def hang_once() -> None:
        broker.on_place = lambda: None
        hangs.set()
        assert go_on.wait(LIMIT_S)

    broker.on_place = hang_once
    sender = threading.Thread(target=accounts.sender.execute_next)
    sender.start()
    try:
        assert hangs.wait(LIMIT_S)
        accounts.expect(stuck, IntentStatus.SUBMITTING)
        assert accounts.sender.execute_next(), "the claim of the other account is ready"
        accounts.expect(other, IntentStatus.PLACED)
    finally:
        go_on.set()
        sender.join(LIMIT_S)
    accounts.expect(stuck, IntentStatus.PLACED)


def test_held_row_delays_no_other_exit_of_claim(
    accounts: OrderScenario, broker: ScriptedBroker, database: Database
) -> None:
    held, *others = [accounts.approved(user_broker_id=name) for name in ACCOUNTS]
    row = f"SELECT 1 FROM open_trades WHERE trade_id = '{held.trade_id}'"
    with held_row(database.admin_url, "exit_qualification", row):
        assert accounts.sender.execute_next()
        assert {accounts.intent(it).status for it in others} == {IntentStatus.PLACED}
        accounts.expect(held, IntentStatus.APPROVED)
    assert accounts.sender.execute_next()
    accounts.expect(held, IntentStatus.PLACED)


def test_immediately_filled_orders_are_placed_and_filled_in_one_step(
    accounts: OrderScenario, broker: ScriptedBroker
) -> None:
    broker.price(SYMBOL, "1010")
    intents = [accounts.approved(user_broker_id=name) for name in ACCOUNTS for _ in range(2)]
    assert accounts.sender_that_reads().execute_next()
    for intent in intents:
        filled = accounts.expect(intent, IntentStatus.FILLED)
        assert filled.version == intent.version + 2, "submitted, then filled"
        assert filled.submitted_at is not None
        assert filled.placed_at is not None
        assert filled.filled_at is not None
        assert filled.submitted_at <= filled.placed_at <= filled.filled_at
        (placed, said), (name, _) = accounts.events(intent)
        assert (placed, name) == ("Placed", "Filled")
        assert (said["filled_quantity"], said["average_price"]) == (0, None)
        assert said["broker_order_id"] == filled.broker_order_id


@pytest.mark.parametrize("is_blind", [False, True])
def test_an_order_that_is_not_filled_yet_is_placed(
    accounts: OrderScenario, broker: ScriptedBroker, is_blind: bool
) -> None:
    broker.is_blind = is_blind
    intent = accounts.approved(user_broker_id=ACCOUNTS[0])
    assert accounts.sender_that_reads().execute_next()
    accounts.expect(intent, IntentStatus.PLACED)


def test_outcomes_of_many_accounts_cost_as_many_statements_as_one(
    accounts: OrderScenario, broker: ScriptedBroker
) -> None:
    broker.price(SYMBOL, "1010")
    costs = []
    for names in (ACCOUNTS[:1], ACCOUNTS):
        placed = [accounts.placed(user_broker_id=name) for name in names]
        outcomes = [filled_outcome(accounts, broker, intent) for intent in placed]
        with sent_statements() as statements:
            assert len(accounts.outcomes.record(outcomes)) == len(names)
        costs.append(len(statements))
    assert costs[0] == costs[1]


def test_an_outcome_that_is_out_of_date_is_left_out(accounts: OrderScenario, broker: ScriptedBroker) -> None:
    broker.price(SYMBOL, "1010")
    first, second = (accounts.placed(user_broker_id=name) for name in ACCOUNTS[:2])
    outdated = replace(
        filled_outcome(accounts, broker, first), intent=msgspec.structs.replace(first, version=first.version - 1)
    )
    recorded = accounts.outcomes.record([outdated, filled_outcome(accounts, broker, second)])
    assert [intent.intent_id for intent in recorded] == [second.intent_id]
    accounts.expect(first, IntentStatus.PLACED)


def filled_outcome(scenario: OrderScenario, broker: ScriptedBroker, intent: ExitIntent) -> OrderOutcome:
    """The outcome of an order shown by the books as filled."""
    account = UserBroker(intent.user_broker_id, "kite", "A", "http://127.0.0.1:1", BrokerStatus.CONNECTED)
    assert intent.broker_order_id is not None
    fills = read_filled(broker, {intent.broker_order_id: intent})[intent.intent_id]
    return OrderOutcome(account, intent, intent.broker_order_id, fills)


def test_requests_of_one_account_in_one_transaction_share_budget(exit_engine: Engine) -> None:
    accounts = [UserBroker(name, "kite", name, "http://127.0.0.1:1", BrokerStatus.CONNECTED) for name in ("b", "a")]
    wanted = [Wanted(accounts[n], 3) for n in (0, 1, 0)]
    with exit_engine.begin() as connection:
        grants = OrderBudgetRepository(connection, OrderLimits(per_second=4)).ask_all(wanted).get()
    assert [grant.granted for grant in grants] == [3, 3, 1]
