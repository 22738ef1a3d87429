"""News of approved exits, told apart from other records."""

from __future__ import annotations

from typing import cast

import pytest
from confluent_kafka import Message

from services.trade_management.fills.reading import tells_approval
from shared.contracts.events import event_classes
from shared.contracts.exits import ExitIntentApproved
from shared.contracts.topics import EXIT_INTENTS
from tests.support.records import FakeMessage

TYPES = sorted(event.event_type() for event in event_classes() if event.topic == EXIT_INTENTS)


@pytest.mark.parametrize("ce_type", [*TYPES, "unknown"])
def test_only_an_approval_is_news_of_an_exit_to_execute(ce_type: str) -> None:
    record = FakeMessage(EXIT_INTENTS, b"{}", headers_=[("ce_type", ce_type.encode())])
    assert tells_approval(cast(Message, record)) == (ce_type == ExitIntentApproved.event_type())


def test_a_record_without_a_type_is_no_news() -> None:
    assert not tells_approval(cast(Message, FakeMessage(EXIT_INTENTS, None, headers_=None)))
