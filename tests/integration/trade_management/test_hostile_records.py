"""An unreadable record costs itself, never trade-fills and never a neighbour."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine

from services.trade_management import trade_management_service
from shared.contracts.topics import TopicNames
from shared.ids import new_id
from shared.kafka.clients import flush_or_fail, open_producer
from shared.settings import Settings
from tests.integration.trade_management.intents_topic import IntentsTopic, consuming
from tests.integration.trade_management.ledger import Intent, execution, open_trade, stored
from tests.support.records import ODD_HEADERS, hostile_ticks

FILLED = "io.exitflow.ExitIntentFilled.v1"


def test_hostile_records_and_failing_arithmetic_cost_no_other_closure(
    settings: Settings, topics: TopicNames, trade_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    poisoned, trade = open_trade(trade_engine), open_trade(trade_engine)
    book = vars(trade_management_service)["book"]

    def failing(history: Any, *arguments: Any) -> Any:
        if history.trade.trade_id == poisoned.trade_id:
            raise OverflowError("too large")
        return book(history, *arguments)

    monkeypatch.setattr(trade_management_service, "book", failing)
    intents = IntentsTopic(settings)
    good = Intent(trade).filled(execution()).payload()
    huge = good.replace(b'"1010.00"', b'"1e1000000"')
    producer = open_producer(settings)
    for value in [*hostile_ticks("NSE:INFY"), huge, good.replace(b'"1010.00"', b"1e1000000")]:
        typed: list[tuple[str, str | bytes | None]] = [*ODD_HEADERS, ("ce_id", str(new_id())), ("ce_type", FILLED)]
        producer.produce(intents.name, key="same", value=value, headers=typed)
    flush_or_fail(producer)
    for event in (Intent(poisoned).filled(execution()), Intent(trade).filled(execution())):
        intents.put(event.payload(), {"ce_id": str(new_id()), "ce_type": FILLED}, key="same")
    with consuming(settings, trade_engine):
        intents.wait_until_consumed()
    codes = [headers["dlq_code"] for _, headers in intents.dead_letters()]
    assert codes == ["malformed_message"] * (len(codes) - 1) + ["unreadable"]
    assert len(codes) == len(hostile_ticks("NSE:INFY")) + 3
    assert stored(trade_engine, trade.trade_id)["status"] == "CLOSED"
    assert stored(trade_engine, poisoned.trade_id)["status"] == "OPEN"
    intents.close()
