"""What an exit says while its account is disconnected."""

from __future__ import annotations

import pytest

from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.order_terms import BrokerStatus
from services.exit_qualification.orders.account_errors import AccountErrors
from services.exit_qualification.storage.exit_intents import ExitIntentRepository
from shared.contracts.vocabulary import IntentStatus
from tests.integration.exit_qualification.orders.floor import Floor


def waiting_codes(floor: Floor) -> dict[str, str]:
    """What operators see of each user broker."""
    with floor.engine.begin() as connection:
        return {name: error.code for name, error in ExitIntentRepository(connection).waiting_errors().items()}


def exit_of(floor: Floor, status: IntentStatus) -> ExitIntent:
    """An unsent exit, made before or after its account was disconnected."""
    if status is IntentStatus.APPROVED:
        intent = floor.approved()
        floor.connect(BrokerStatus.DISCONNECTED)
    else:
        floor.connect(BrokerStatus.DISCONNECTED)
        intent = floor.detect(floor.open_trade())
    assert intent.status is status
    return intent


@pytest.mark.parametrize("status", [IntentStatus.APPROVED, IntentStatus.PENDING])
def test_an_unsent_exit_shows_its_disconnected_account(floor: Floor, status: IntentStatus) -> None:
    errors = AccountErrors(floor.open_unit)
    intent = exit_of(floor, status)
    errors.note_once()
    noted = floor.intent(intent)
    assert (noted.status, noted.error_code) == (status, "ACCOUNT_DISCONNECTED")
    assert waiting_codes(floor) == {"paper": "ACCOUNT_DISCONNECTED"}
    errors.note_once()
    assert floor.intent(intent).version == noted.version, "what stands is not written again"
    floor.connect(BrokerStatus.CONNECTED)
    errors.note_once()
    assert floor.intent(intent).error_code is None
    assert waiting_codes(floor) == {}


def test_an_exit_at_the_broker_keeps_its_state(floor: Floor) -> None:
    intent = floor.placed()
    floor.connect(BrokerStatus.DISCONNECTED)
    AccountErrors(floor.open_unit).note_once()
    assert floor.intent(intent).error_code is None
