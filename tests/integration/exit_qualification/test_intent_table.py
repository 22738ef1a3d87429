"""The table of intents refuses what the state machine refuses."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError

from services.exit_qualification.domain.intent_state_machine import ENDED_SHORT, TRANSITIONS
from shared.contracts.vocabulary import IntentStatus
from shared.ids import client_order_id, new_id

EVERY_STEP = [
    (current, wanted, was_sent)
    for current, wanted, was_sent in product(IntentStatus, IntentStatus, (False, True))
    if current is not wanted
]

ENDED: dict[str, Any] = {
    "filled_quantity": 100,
    "average_price": 1010,
    "broker_order_id": "1",
    "error_code": "X",
    "cancel_reason": "X",
}


def _legal(current: IntentStatus, wanted: IntentStatus, was_sent: bool) -> bool:
    return wanted in TRANSITIONS[current] and (current not in ENDED_SHORT or was_sent)


def _put(connection: Connection, status: IntentStatus, was_sent: bool) -> None:
    """An intent at this status, past the guard, with whatever its status needs."""
    ids = {"signal_id": new_id(), "trade_id": new_id(), "intent_id": (intent_id := new_id())}
    connection.execute(
        text(
            "INSERT INTO exit_signals (signal_id, trade_id, symbol, direction, exit_reason, episode_id, detected_at) "
            "VALUES (:signal_id, :trade_id, 'NSE:INFY', 'LONG', 'EXTERNAL', 1, now())"
        ),
        ids,
    )
    # Only an EXTERNAL intent may start anywhere: its guard is on changes alone.
    connection.execute(
        text(
            "INSERT INTO exit_intents (intent_id, signal_id, trade_id, user_broker_id, symbol, direction, exit_reason, "
            "episode_id, status, quantity, order_type, product_type, executable, gates, client_order_id, "
            "filled_quantity, average_price, broker_order_id, error_code, cancel_reason, filled_at, submitted_at) "
            "VALUES (:intent_id, :signal_id, :trade_id, 'paper', 'NSE:INFY', 'LONG', 'EXTERNAL', 1, :status, 100, "
            "'MARKET', 'MIS', true, '[]', :client_order_id, :filled_quantity, :average_price, :broker_order_id, "
            ":error_code, :cancel_reason, now(), CASE WHEN :was_sent THEN now() END)"
        ),
        {**ids, **ENDED, "status": status, "client_order_id": client_order_id(intent_id), "was_sent": was_sent},
    )


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
            _put(connection, current, was_sent)
            if _legal(current, wanted, was_sent):
                _step(connection, wanted)
            else:
                with pytest.raises(IntegrityError, match="not a legal step"):
                    _step(connection, wanted)
            connection.rollback()


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
        _put(connection, IntentStatus.PARTIALLY_FILLED, was_sent=True)
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
