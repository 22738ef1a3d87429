"""Where a user broker is cannot change while exits depend on the books of the place it is at."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Connection, Engine, event

from services.exit_qualification.domain.order_terms import BrokerStatus
from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.orders.brokers.registry import BOOK_DAYS
from services.exit_qualification.storage.operator_controls import BrokerInUse, SwitchRepository
from shared.contracts.vocabulary import IntentStatus
from shared.postgres.audit import Act
from tests.integration.exit_qualification.intent_rows import put_intent
from tests.support.waiting import LIMIT_S

ELSEWHERE = UserBroker("paper", "kite", "PAPER", "http://127.0.0.1:2", BrokerStatus.CONNECTED)
OTHER_ACCOUNT = UserBroker("paper", "kite", "OTHER", "http://127.0.0.1:1", BrokerStatus.CONNECTED)
DISCONNECTED = UserBroker("paper", "kite", "PAPER", "http://127.0.0.1:1", BrokerStatus.DISCONNECTED)
ACT = Act("ops-desk", "moving")
NOW = timedelta(0)


@pytest.fixture
def connection(exit_engine: Engine) -> Iterator[Connection]:
    """A transaction to be rolled back."""
    with exit_engine.connect() as connection:
        yield connection


@pytest.mark.parametrize("status", ["SUBMITTING", "UNKNOWN", "PLACED", "PARTIALLY_FILLED", "CANCELLED", "FAILED"])
@pytest.mark.parametrize("moved", [ELSEWHERE, OTHER_ACCOUNT], ids=["root_url", "account"])
def test_it_stays_while_an_exit_is_in_its_books(connection: Connection, status: str, moved: UserBroker) -> None:
    put_intent(connection, IntentStatus(status), NOW)
    with pytest.raises(BrokerInUse) as refused:
        SwitchRepository(connection).put_broker(moved, ACT, book_days=BOOK_DAYS)
    assert (refused.value.http_status, refused.value.details) == (409, {"intents": 1, "without_order": 0})


def test_its_status_changes_at_any_time(connection: Connection) -> None:
    put_intent(connection, IntentStatus.PLACED, NOW)
    SwitchRepository(connection).put_broker(DISCONNECTED, ACT, book_days=BOOK_DAYS)
    assert SwitchRepository(connection).broker("paper").status is BrokerStatus.DISCONNECTED


@pytest.mark.parametrize(
    ("status", "sent_ago"),
    [
        ("PENDING", None),
        ("APPROVED", None),
        ("FILLED", NOW),
        ("CANCELLED", None),
        ("FAILED", timedelta(days=1)),
    ],
)
def test_it_moves_once_nothing_is_in_its_books(connection: Connection, status: str, sent_ago: timedelta | None) -> None:
    put_intent(connection, IntentStatus(status), sent_ago)
    SwitchRepository(connection).put_broker(ELSEWHERE, ACT, book_days=BOOK_DAYS)
    assert SwitchRepository(connection).broker("paper") == ELSEWHERE


def test_a_move_waits_for_senders_using_the_old_address(exit_engine: Engine) -> None:
    """Else the sender would commit SUBMITTING, bound for the old place, after the move saw nothing at work."""
    refused: list[BrokerInUse] = []
    waits = threading.Event()

    def move() -> None:
        with exit_engine.connect() as mover:
            event.listen(mover, "before_cursor_execute", _sets_at("ACCESS EXCLUSIVE", waits))
            try:
                SwitchRepository(mover).put_broker(ELSEWHERE, ACT, book_days=BOOK_DAYS)
            except BrokerInUse as error:
                refused.append(error)

    thread = threading.Thread(target=move)
    with exit_engine.connect() as sender:
        SwitchRepository(sender).read()
        thread.start()
        assert waits.wait(LIMIT_S)
        put_intent(sender, IntentStatus.SUBMITTING, NOW)
        sender.commit()
    thread.join(LIMIT_S)
    assert [error.details for error in refused] == [{"intents": 1, "without_order": 0}]


def _sets_at(fragment: str, reached: threading.Event):  # type: ignore[no-untyped-def]  # SQLAlchemy's hook
    def before(_: object, __: object, statement: str, *___: object) -> None:
        if fragment in statement:
            reached.set()

    return before
