"""The broker of an account chooses its adapter; an account at an unknown broker stops no other."""

from __future__ import annotations

from typing import cast

import pytest
from sqlalchemy import Engine, text

from services.exit_qualification.domain.order_terms import BrokerStatus
from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.orders.brokers.adapters import Adapter, BrokerAdapters
from services.exit_qualification.orders.brokers.port import NOT_SUPPORTED, BrokerNotSupported
from services.exit_qualification.storage.operator_controls import SwitchRepository
from shared.contracts.vocabulary import IntentStatus
from tests.integration.exit_qualification.orders.order_scenario import OrderScenario
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker

ELSEWHERE = UserBroker("elsewhere", "other", "E1", "http://127.0.0.1:1", BrokerStatus.CONNECTED)
ADD_ACCOUNT = text("""
INSERT INTO user_brokers (user_broker_id, broker, account, root_url, status)
VALUES ('elsewhere', 'other', 'E1', 'http://127.0.0.1:1', 'CONNECTED')
""")


@pytest.fixture
def scenario(exit_engine: Engine, broker: ScriptedBroker) -> OrderScenario:
    """A scenario with Kite's adapter alone, and an account at another broker."""
    with exit_engine.begin() as connection:
        connection.execute(ADD_ACCOUNT)
    return OrderScenario(exit_engine, BrokerAdapters({"kite": cast(Adapter, broker)}))


def test_the_name_of_the_broker_chooses_the_adapter(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    with scenario.engine.begin() as connection:
        paper = SwitchRepository(connection).broker("paper")
    assert BrokerAdapters({"kite": cast(Adapter, broker)}).port(paper) is broker
    with pytest.raises(BrokerNotSupported, match="is not supported: use one of kite"):
        BrokerAdapters({"kite": cast(Adapter, broker)}).port(ELSEWHERE)


def test_only_the_account_at_an_unknown_broker_waits(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    stuck, other = scenario.approved(user_broker_id="elsewhere"), scenario.approved()
    assert scenario.sender.execute_next()
    assert scenario.sender.execute_next()
    waiting = scenario.expect(stuck, IntentStatus.APPROVED)
    assert waiting.error_code == NOT_SUPPORTED
    assert "broker 'other', which is not supported" in str(waiting.error_message)
    scenario.expect(other, IntentStatus.PLACED)
    assert [order.tag for order in broker.placed] == [other.client_order_id]
