"""Quotes and access tokens: asked about only when an exit waits for them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from unittest.mock import Mock

import pytest
from sqlalchemy import Engine, text

from services.exit_qualification.domain.checkpoint import SymbolCheckpoint
from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.domain.gates.gate import Gate
from services.exit_qualification.domain.market_facts import Quote
from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.domain.symbol_book import SymbolState
from services.exit_qualification.orders.accounts.token_watch import TokenWatch
from services.exit_qualification.orders.brokers.port import BrokerUnavailable
from services.exit_qualification.orders.quote_refresh import MOST_SYMBOLS, WAITING_EVERY_S, QuoteRefresh
from services.exit_qualification.storage.market_facts import MarketFactsRepository
from services.exit_qualification.storage.market_quotes import QuoteRepository
from services.exit_qualification.storage.operator_controls import SwitchRepository
from services.exit_qualification.storage.order_queues import OrderQueues
from services.exit_qualification.storage.tick_checkpoints import TickCheckpointRepository
from services.exit_qualification.ticks.held_ticks import HOLD_S, HeldTick, HeldTicks
from services.exit_qualification.ticks.limits_feed import ANSWER_LOOK_S, LOOK_S, LimitsFeed, NewLimits
from shared.clock import SystemClock
from shared.contracts.topics import TopicNames
from shared.contracts.vocabulary import ExitReason
from shared.instants import epoch_ms
from shared.kafka.consuming import offset_of
from shared.outbox.unit_of_work import UnitOfWork
from shared.outbox.writing import Outbox
from shared.tick_clock import TickOrder
from tests.integration.exit_qualification.orders.order_scenario import OrderScenario
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker
from tests.support.signing import SIGNER
from tests.unit.exit_qualification.ticks.messages import tick as message_of_tick

INFY = "NSE:INFY"
SECOND_ACCOUNT = """
INSERT INTO user_brokers (user_broker_id, broker, account, root_url, status)
VALUES ('second', 'kite', 'SECOND', 'http://127.0.0.1:1', 'CONNECTED')
"""


@pytest.fixture
def broker() -> ScriptedBroker:
    return ScriptedBroker()


@pytest.fixture
def open_unit(exit_engine: Engine) -> partial[UnitOfWork]:
    return partial(UnitOfWork, exit_engine, Outbox(TopicNames(""), SystemClock(), SIGNER))


def tick_arrived(engine: Engine, ago: timedelta) -> None:
    arrived = epoch_ms(datetime.now(UTC) - ago)
    state = SymbolState(1010_0000, arrived * 1000, 1, arrived)
    with engine.begin() as connection:
        TickCheckpointRepository(connection).save_symbols([SymbolCheckpoint(INFY, 0, state)])


def may_be_sent(engine: Engine) -> bool:
    with engine.connect() as connection:
        due_s = OrderQueues(connection).next_due_s(in_flight=4)
    return due_s is not None and due_s <= 0


def test_quote_allows_sending_exit_of_quiet_symbol(
    scenario: OrderScenario, exit_engine: Engine, broker: ScriptedBroker, open_unit: partial[UnitOfWork]
) -> None:
    scenario.detect(scenario.open_trade(), ExitReason.STOP_LOSS)
    tick_arrived(exit_engine, timedelta(seconds=1))
    assert may_be_sent(exit_engine)
    tick_arrived(exit_engine, timedelta(seconds=60))
    assert not may_be_sent(exit_engine)
    broker.price(INFY, "985.00")
    QuoteRefresh(open_unit, broker, SystemClock()).refresh_once()
    assert may_be_sent(exit_engine)
    with exit_engine.connect() as connection:
        price = MarketFactsRepository(connection).read([INFY])[INFY].price
    assert price.last == Decimal(985)
    assert price.age_ms is not None and price.age_ms < 3000  # one thing


def test_without_a_quote_the_exit_goes_on_waiting(
    scenario: OrderScenario, exit_engine: Engine, broker: ScriptedBroker, open_unit: partial[UnitOfWork]
) -> None:
    scenario.detect(scenario.open_trade(), ExitReason.STOP_LOSS)
    tick_arrived(exit_engine, timedelta(seconds=60))
    broker.is_down = True
    QuoteRefresh(open_unit, broker, SystemClock()).refresh_once()
    assert not may_be_sent(exit_engine)


def test_new_price_is_requested_before_waiting_exit_price_expires(scenario: OrderScenario, exit_engine: Engine) -> None:
    scenario.detect(scenario.open_trade(), ExitReason.STOP_LOSS)
    for age_ms, needed in ((1000, {}), (2000, {"paper": [INFY]})):
        tick_arrived(exit_engine, timedelta(milliseconds=age_ms))
        assert may_be_sent(exit_engine)
        with exit_engine.connect() as connection:
            assert QuoteRepository(connection).needed_now(WAITING_EVERY_S, MOST_SYMBOLS) == needed


def test_second_account_is_asked_when_first_gives_no_quote(
    scenario: OrderScenario, exit_engine: Engine, broker: ScriptedBroker, open_unit: partial[UnitOfWork]
) -> None:
    with exit_engine.begin() as connection:
        connection.execute(text(SECOND_ACCOUNT))
    for name in ("paper", "second"):
        scenario.detect(scenario.open_trade(user_broker_id=name), ExitReason.STOP_LOSS)
    tick_arrived(exit_engine, timedelta(seconds=60))
    broker.price(INFY, "985.00")
    brokers, down = Mock(), Mock(quotes=Mock(side_effect=BrokerUnavailable("quotes: down")))
    brokers.port.side_effect = lambda account: down if account.user_broker_id == "paper" else broker
    refresh = QuoteRefresh(open_unit, brokers, SystemClock())
    if refresh.refresh_once():
        assert not may_be_sent(exit_engine), "the silent account was asked first, and the other one is at once"
        assert refresh.refresh_once() is False
    assert may_be_sent(exit_engine)
    calls = brokers.port.call_count
    refresh.refresh_once()
    assert brokers.port.call_count == calls, "the quote serves both accounts"


def test_any_account_is_asked_when_one_is_silent(
    scenario: OrderScenario, exit_engine: Engine, broker: ScriptedBroker, open_unit: partial[UnitOfWork]
) -> None:
    """Ticks beyond the limits wait three seconds at most: any account's quote decides about them."""
    with exit_engine.begin() as connection:
        connection.execute(text(SECOND_ACCOUNT))
    scenario.open_trade()
    broker.price(INFY, "1120.00")
    brokers, down = Mock(), Mock(quotes=Mock(side_effect=BrokerUnavailable("quotes: down")))
    brokers.port.side_effect = lambda account: down if account.user_broker_id == "paper" else broker
    refresh = QuoteRefresh(open_unit, brokers, SystemClock())
    for _ in range(8):
        quoted(exit_engine, "1100", timedelta(seconds=5))
        with exit_engine.begin() as connection:
            assert QuoteRepository(connection).want([INFY]) == [INFY]
        if refresh.refresh_once():
            assert refresh.refresh_once() is False
        assert wanted(exit_engine) == {}
    assert down.quotes.call_count <= 1, "a silent account is not asked again while another one answers"


def test_the_only_account_is_asked_again(
    scenario: OrderScenario, exit_engine: Engine, broker: ScriptedBroker, open_unit: partial[UnitOfWork]
) -> None:
    scenario.detect(scenario.open_trade(), ExitReason.STOP_LOSS)
    tick_arrived(exit_engine, timedelta(seconds=60))
    refresh = QuoteRefresh(open_unit, broker, SystemClock())
    broker.is_down = True
    assert [refresh.refresh_once() for _ in range(2)] == [True, False], "it has become silent, and then it was"
    broker.is_down = False
    broker.price(INFY, "985.00")
    refresh.refresh_once()
    assert may_be_sent(exit_engine)


def test_refused_token_holds_all_account_exits_until_accepted(
    scenario: OrderScenario, exit_engine: Engine, broker: ScriptedBroker, open_unit: partial[UnitOfWork]
) -> None:
    intent = scenario.detect(scenario.open_trade())
    with exit_engine.begin() as connection:
        refused = text(
            "UPDATE exit_intents SET error_code = 'TOKEN_EXPIRED', version = version + 1 WHERE intent_id = :intent_id"
        )
        connection.execute(refused, {"intent_id": intent.intent_id})
    scenario.detect(scenario.open_trade())
    assert may_be_sent(exit_engine)
    broker.is_down = True
    watch = TokenWatch(open_unit, broker, SystemClock())
    watch.look_once()
    assert not may_be_sent(exit_engine)
    assert account(exit_engine).token_refused
    broker.is_down = False
    TokenWatch(open_unit, broker, SystemClock()).look_once()
    assert may_be_sent(exit_engine)
    watch.look_once()
    assert not account(exit_engine).token_refused, f"{Gate.TOKEN_VALID}: the old error marks the account again"


def account(engine: Engine) -> UserBroker:
    with engine.connect() as connection:
        return SwitchRepository(connection).broker("paper")


def quoted(engine: Engine, upper: str, ago: timedelta) -> None:
    """A quote with this upper limit was stored so long ago."""
    with engine.begin() as connection:
        QuoteRepository(connection).upsert([Quote(INFY, Decimal(1000), Decimal(900), Decimal(upper))])
        connection.execute(text("UPDATE market_quotes SET quoted_at = quoted_at - :ago"), {"ago": ago})


def wanted(engine: Engine) -> dict[str, list[str]]:
    with engine.connect() as connection:
        return QuoteRepository(connection).needed_now(WAITING_EVERY_S, MOST_SYMBOLS)


def test_a_tick_beyond_the_limits_asks_for_a_quote(scenario: OrderScenario, exit_engine: Engine) -> None:
    engine, feed, held = ExitSignalService(), LimitsFeed(exit_engine), HeldTicks(1)
    quoted(exit_engine, "1100", timedelta(seconds=5))
    with exit_engine.begin() as connection:
        feed.load(connection, engine)
    engine.add_trade(scenario.open_trade())
    assert wanted(exit_engine) == {}
    held.hold(INFY, beyond_limits(engine))
    assert feed.follow(engine, held, 0.0) == NewLimits([], [])
    assert wanted(exit_engine) == {"paper": [INFY]}
    assert feed.follow(engine, held, ANSWER_LOOK_S) == NewLimits([], []), "the quote is older than the question"
    quoted(exit_engine, "1150", timedelta())
    assert wanted(exit_engine) == {}
    assert feed.follow(engine, held, 1.5 * ANSWER_LOOK_S) == NewLimits([], [])
    assert feed.follow(engine, held, 2 * ANSWER_LOOK_S) == NewLimits([INFY], [INFY])
    ((decided, _),) = held.take(INFY)[0]
    assert offset_of(decided) == 7
    assert feed.follow(engine, held, LOOK_S) == NewLimits([], [])


def test_without_an_answer_the_known_limits_decide(scenario: OrderScenario, exit_engine: Engine) -> None:
    engine, feed, held = ExitSignalService(), LimitsFeed(exit_engine), HeldTicks(1)
    quoted(exit_engine, "1100", timedelta(seconds=5))
    with exit_engine.begin() as connection:
        feed.load(connection, engine)
    engine.add_trade(scenario.open_trade())
    held.hold(INFY, beyond_limits(engine))
    assert feed.follow(engine, held, 0.0).decided == []
    assert feed.follow(engine, held, HOLD_S - 0.1).decided == []
    assert feed.follow(engine, held, HOLD_S).decided == [INFY]


def beyond_limits(engine: ExitSignalService) -> HeldTick:
    """A tick the engine does not take."""
    now_ms = epoch_ms(datetime.now(UTC))
    tick = (INFY, 1100_0500, now_ms * 1000, 1, now_ms)
    assert engine.on_tick(*tick).order is TickOrder.OUTSIDE
    return message_of_tick(offset_=7), tick
