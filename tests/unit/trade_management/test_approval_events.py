"""Exits to execute, as read from records of intents."""

from __future__ import annotations

import json
from typing import cast

import pytest
from confluent_kafka import Message

from services.trade_management.execution.approval_events import approved_exits
from services.trade_management.execution.approved_exits import ApprovedExit
from shared.contracts.events import event_classes
from shared.contracts.exits import ExitIntentApproved
from shared.contracts.topics import EXIT_INTENTS
from shared.ids import new_id
from tests.support.records import FakeMessage
from tests.support.signing import TRUSTED, signed

APPROVED = ExitIntentApproved.event_type()
TYPES = sorted(event.event_type() for event in event_classes() if event.topic == EXIT_INTENTS)
EXIT = ApprovedExit(new_id(), new_id(), 10)
VALUE = {"intent_id": str(EXIT.intent_id), "trade_id": str(EXIT.trade_id), "quantity": EXIT.quantity}


def record_of(value: bytes, ce_type: str = APPROVED) -> FakeMessage:
    """A record of exit qualification."""
    headers = signed(EXIT_INTENTS, "NSE:INFY", value, {"ce_type": ce_type})
    return FakeMessage(
        EXIT_INTENTS, value, key_=b"NSE:INFY", headers_=[(name, text.encode()) for name, text in headers.items()]
    )


def read(record: FakeMessage) -> list[ApprovedExit]:
    return approved_exits([cast(Message, record)], TRUSTED)


@pytest.mark.parametrize("ce_type", [*TYPES, "unknown"])
def test_only_an_approval_tells_of_an_exit_to_execute(ce_type: str) -> None:
    assert read(record_of(json.dumps(VALUE).encode(), ce_type)) == ([EXIT] if ce_type == APPROVED else [])


def test_a_record_only_exit_is_not_to_execute() -> None:
    assert read(record_of(json.dumps(VALUE | {"executable": False}).encode())) == []


@pytest.mark.parametrize("value", [b"", b"{}", b"\xff", json.dumps(VALUE | {"quantity": 0}).encode()])
def test_a_malformed_approval_is_left_to_the_next_look(value: bytes) -> None:
    assert read(record_of(value)) == []


def test_an_approval_is_believed_only_with_its_own_signature() -> None:
    changed = record_of(json.dumps(VALUE).encode())
    changed.value_ = json.dumps(VALUE | {"quantity": 1}).encode()
    unsigned = FakeMessage(EXIT_INTENTS, json.dumps(VALUE).encode(), headers_=[("ce_type", APPROVED.encode())])
    assert read(changed) == read(unsigned) == []


def test_a_record_without_headers_tells_of_none() -> None:
    assert read(FakeMessage(EXIT_INTENTS, None, headers_=None)) == []
