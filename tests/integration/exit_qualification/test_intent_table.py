"""The table of intents refuses the same changes as the state machine."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError

from services.exit_qualification.domain.intent_state_machine import ENDED_SHORT, TRANSITIONS
from shared.contracts.vocabulary import IntentStatus
from shared.ids import client_order_id, new_id
from tests.integration.exit_qualification.intent_rows import put_intent

EVERY_STEP = [
    (current, wanted, was_sent)
    for current, wanted, was_sent in product(IntentStatus, IntentStatus, (False, True))
    if current is not wanted
]


def _legal(current: IntentStatus, wanted: IntentStatus, was_sent: bool) -> bool:
    return wanted in TRANSITIONS[current] and (current not in ENDED_SHORT or was_sent)


def _step(connection: Connection, wanted: IntentStatus) -> None:
    connection.execute(text("UPDATE exit_intents SET status = :wanted, version = version + 1"), {"wanted": wanted})


def test_the_database_holds_the_state_machines_own_table(exit_engine: Engine) -> None:
    with exit_engine.connect() as connection:
        rows = connection.execute(text("SELECT from_status, to_status, only_if_sent FROM exit_intent_transitions"))
        held = {(row.from_status, row.to_status, row.only_if_sent) for row in rows}
    steps = {(current, wanted) for current, reachable in TRANSITIONS.items() for wanted in reachable}
    assert held == {(str(current), str(wanted), current in ENDED_SHORT) for current, wanted in steps}


def test_the_guard_allows_every_legal_step_and_refuses_every_other(exit_engine: Engine) -> None:
    with exit_engine.connect() as connection:
        for current, wanted, was_sent in EVERY_STEP:
            put_intent(connection, current, timedelta(0) if was_sent else None)
            if _legal(current, wanted, was_sent):
                _step(connection, wanted)
            else:
                with pytest.raises(IntegrityError, match="not a legal step"):
                    _step(connection, wanted)
            connection.rollback()


def test_the_guards_do_not_depend_on_the_search_path(exit_engine: Engine) -> None:
    with exit_engine.connect() as connection:
        put_intent(connection, IntentStatus.PENDING, None)
        connection.execute(text("SET LOCAL search_path = ''"))
        step = text("UPDATE exit_qualification.exit_intents SET status = 'APPROVED', version = version + 1")
        assert connection.execute(step).rowcount == 1


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ("filled_quantity = 1, version = version + 1", "cannot go down"),
        ("attempts = 1", "version must go"),
        ("quantity = 7, trade_id = signal_id, version = version + 1", "identity cannot change"),
    ],
)
def test_the_guard_keeps_fills_versions_and_identity(exit_engine: Engine, change: str, refusal: str) -> None:
    with exit_engine.connect() as connection:
        put_intent(connection, IntentStatus.PARTIALLY_FILLED, timedelta(0))
        with pytest.raises(IntegrityError, match=refusal):
            connection.execute(text(f"UPDATE exit_intents SET {change}"))


@pytest.mark.parametrize("status", sorted(set(IntentStatus) - {"PENDING", "APPROVED", "REJECTED"}))
def test_an_intent_of_ours_starts_before_any_order(exit_engine: Engine, status: str) -> None:
    with exit_engine.connect() as connection:
        connection.execute(
            text(
                "INSERT INTO exit_signals (signal_id, trade_id, symbol, direction, exit_reason, episode_id, "
                "detected_at) VALUES (:id, :id, 'NSE:INFY', 'LONG', 'TARGET', 1, now())"
            ),
            {"id": (made := new_id())},
        )
        with pytest.raises(IntegrityError, match="cannot start as"):
            connection.execute(
                text(
                    "INSERT INTO exit_intents (intent_id, signal_id, trade_id, user_broker_id, symbol, direction, "
                    "exit_reason, episode_id, status, quantity, order_type, product_type, executable, gates, "
                    "client_order_id) VALUES (:id, :id, :id, 'paper', 'NSE:INFY', 'LONG', 'TARGET', 1, :status, 100, "
                    "'MARKET', 'MIS', true, '[]', :tag)"
                ),
                {"id": made, "status": status, "tag": client_order_id(made)},
            )
