"""One trace of an exit, from its signal to the closure of its trade, over both databases."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

pytest.importorskip("opentelemetry.sdk", reason="needs the extra otel")

from shared.contracts.exits import (
    ErrorDetail,
    ExitIntentApproved,
    ExitIntentEvent,
    ExitIntentPlaced,
    ExitIntentRejected,
    ExitSignalPublished,
)
from shared.contracts.topics import TopicNames
from shared.ids import exit_traceparent, new_id, new_traceparent
from shared.outbox import after_commit
from shared.outbox.unit_of_work import UnitOfWork
from shared.outbox.writing import Outbox
from shared.postgres.engine import open_engine
from shared.runtime.exit_spans import span_of
from shared.runtime.tracing import traced
from shared.settings import Settings
from tests.integration.trade_management.ledger import CLOCK, SERVICE, Intent, execution, open_trade, rows, unit_of_work
from tests.integration.trade_management.test_closing import Record
from tests.support.otlp_collector import CollectedSpan, Collector, collector
from tests.support.servers import Database
from tests.support.signing import SIGNER


@pytest.fixture
def exit_engine(database: Database) -> Iterator[Engine]:
    """The exit side of the same database."""
    engine = open_engine(database.exit_url, "exit_qualification", application="test")
    yield engine
    engine.dispose()


def _signal(event: ExitIntentEvent) -> ExitSignalPublished:
    names = ("trade_id", "signal_id", "symbol", "direction", "exit_reason", "episode_id")
    facts = {name: getattr(event, name) for name in names}
    return ExitSignalPublished(**facts, detected_price=Decimal("1010.05"), detected_at=CLOCK.now())


def _settings(process: str, found: Collector) -> Settings:
    headers = SecretStr("authorization=Bearer of-the-collector")
    return Settings(otlp_endpoint=f"{found.url}/", otlp_headers=headers).of_process(process)


def test_one_trace_links_exit_signal_to_closed_trade(exit_engine: Engine, trade_engine: Engine) -> None:
    intent = Intent(open_trade(trade_engine))
    filled, request = intent.filled(execution()), new_traceparent()
    with collector(authorization="Bearer of-the-collector") as found:
        with traced(_settings("exit-ticks", found)):
            with UnitOfWork(exit_engine, Outbox(TopicNames(""), CLOCK, SIGNER), request) as uow:
                uow.emit(_signal(filled), intent.tell(ExitIntentApproved, placed_at=None))
                uow.commit()
            with unit_of_work(exit_engine) as uow:
                uow.emit(intent.tell(ExitIntentPlaced), filled)
                uow.commit()
            with unit_of_work(exit_engine) as uow:
                uow.emit(_signal(Intent(open_trade(trade_engine)).filled(execution())))  # and rolls back
        (header,) = {row["traceparent"] for row in rows(exit_engine, "SELECT traceparent FROM outbox_event")}
        assert header == exit_traceparent(filled.signal_id)
        with traced(_settings("trade-fills", found)), unit_of_work(trade_engine) as uow:
            SERVICE.apply_fills(uow, [Record(filled, header).read()])
            uow.commit()
        assert found.refused == 0
    assert after_commit.tracer() is None
    _check(found.spans, filled.signal_id.hex, str(filled.trade_id), request.split("-")[1])
    assert rows(trade_engine, "SELECT traceparent FROM outbox_event WHERE ce_type LIKE '%TradeClosed%'") == [
        {"traceparent": header}
    ]


def _check(spans: list[CollectedSpan], trace_id: str, trade_id: str, request_trace: str) -> None:
    assert [(span.service, span.name) for span in spans] == [
        ("exit-ticks", "detect exit"),
        ("exit-ticks", "pass gates"),
        ("exit-ticks", "place order"),
        ("exit-ticks", "fill order"),
        ("trade-fills", "close trade"),
    ]
    first, *others = spans
    assert {span.trace_id for span in spans} == {trace_id}
    assert {span.attributes["exitflow.trade_id"] for span in spans} == {trade_id}
    assert (first.span_id, first.parent_id) == (trace_id[16:], "")
    assert {span.parent_id for span in others} == {first.span_id}
    assert all(0 < span.start_ns <= span.end_ns for span in spans)
    assert [span.links for span in spans] == [[request_trace], [request_trace], [], [], []]


def test_refused_exit_shows_error_and_absent_collector_blocks_nothing(exit_engine: Engine) -> None:
    facts = {"trade_id": new_id(), "user_broker_id": "paper", "symbol": "NSE:INFY", "direction": "LONG"}
    rejected = ExitIntentRejected(
        **facts, intent_id=new_id(), signal_id=new_id(), exit_reason="TARGET", episode_id=1, quantity=1,
        client_order_id="A", occurred_at=CLOCK.now(), errors=[ErrorDetail(code="LOT", message="not a whole lot")],
    )  # fmt: skip
    assert span_of(rejected, 1).error == "LOT: not a whole lot"
    assert span_of(rejected, 1).start_ns > 1_700_000_000_000_000_000
    with collector() as gone:
        settings = _settings("exit-ticks", gone)
    with traced(settings), unit_of_work(exit_engine) as uow:
        uow.emit(rejected)
        uow.commit()
    assert len(rows(exit_engine, "SELECT 1 FROM outbox_event")) == 1
