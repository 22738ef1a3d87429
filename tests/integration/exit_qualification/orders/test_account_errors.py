"""The error of an exit while its account is disconnected."""

from __future__ import annotations

import pytest

from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.order_terms import BrokerStatus
from services.exit_qualification.orders.accounts.account_errors import AccountErrors
from services.exit_qualification.storage.exit_lists import ExitLists
from shared.contracts.vocabulary import IntentStatus
from tests.integration.exit_qualification.orders.order_scenario import OrderScenario


def waiting_codes(scenario: OrderScenario) -> dict[str, str]:
    """The operators' view of each user broker."""
    with scenario.engine.begin() as connection:
        return {name: error.code for name, error in ExitLists(connection).waiting_errors().items()}


def exit_of(scenario: OrderScenario, status: IntentStatus) -> ExitIntent:
    """An unsent exit, made before or after its account was disconnected."""
    if status is IntentStatus.APPROVED:
        intent = scenario.approved()
        scenario.connect(BrokerStatus.DISCONNECTED)
    else:
        scenario.connect(BrokerStatus.DISCONNECTED)
        intent = scenario.detect(scenario.open_trade())
    assert intent.status is status
    return intent


@pytest.mark.parametrize("status", [IntentStatus.APPROVED, IntentStatus.PENDING])
def test_an_unsent_exit_shows_its_disconnected_account(scenario: OrderScenario, status: IntentStatus) -> None:
    errors = AccountErrors(scenario.open_unit, scenario.terms.limits)
    intent = exit_of(scenario, status)
    errors.note_once()
    noted = scenario.intent(intent)
    assert (noted.status, noted.error_code) == (status, "ACCOUNT_DISCONNECTED")
    assert waiting_codes(scenario) == {"paper": "ACCOUNT_DISCONNECTED"}
    errors.note_once()
    assert scenario.intent(intent).version == noted.version, "what stands is not written again"
    scenario.connect(BrokerStatus.CONNECTED)
    errors.note_once()
    assert scenario.intent(intent).error_code is None
    assert waiting_codes(scenario) == {}


def test_an_exit_at_the_broker_keeps_its_state(scenario: OrderScenario) -> None:
    intent = scenario.placed()
    scenario.connect(BrokerStatus.DISCONNECTED)
    AccountErrors(scenario.open_unit, scenario.terms.limits).note_once()
    assert scenario.intent(intent).error_code is None
