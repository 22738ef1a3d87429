"""An exit's way from the tick of a tracing producer, through outbox and Kafka, to the closed trade."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import Engine

pytest.importorskip("opentelemetry.sdk", reason="needs the extra otel")

from shared.contracts.topics import EXIT_SIGNALS, TopicNames
from shared.ids import exit_traceparent, new_traceparent
from shared.kafka.clients import headers_of
from shared.runtime.tracing import traced
from shared.settings import Settings
from tests.integration.exit_qualification.ticks.worker_harness import INFY, Book, Market, running_worker
from tests.integration.outbox_relay.relays import running_relay
from tests.integration.trade_management.ledger import SERVICE, Intent, execution, open_trade, unit_of_work
from tests.integration.trade_management.test_closing import Record
from tests.support.otlp_collector import CollectedSpan, collector
from tests.support.trades import opened
from tests.support.waiting import wait_until


def test_one_connected_trace_links_exit_tick_to_closed_trade(
    settings: Settings, exit_relay: Settings, topics: TopicNames, market: Market, book: Book, trade_engine: Engine
) -> None:
    trade, tick_trace = open_trade(trade_engine), new_traceparent()
    market.open(opened(trade_id=trade.trade_id, entered_at=trade.entered_at))
    with collector() as found:
        exporting = Settings(otlp_endpoint=found.url)
        with traced(exporting.of_process("exit-ticks")), running_worker(settings):
            book.await_trades(1)
            tick = {"symbol": INFY, "ltp": "1010.00", "ts": "2026-01-13T03:45:00Z", "seq": 1}
            market.put(json.dumps(tick).encode(), headers=[("traceparent", tick_trace.encode())])
            book.await_exits(1)
        with traced(exporting.of_process("relay")), running_relay(exit_relay):
            wait_until(lambda: bool(market.records(topics.on_cluster(EXIT_SIGNALS))), "the signal is on Kafka")
        (record,) = market.records(topics.on_cluster(EXIT_SIGNALS))
        header = headers_of(record)["traceparent"]
        filled = Intent(trade).filled(execution())
        with traced(exporting.of_process("trade-fills")), unit_of_work(trade_engine) as uow:
            SERVICE.apply_fills(uow, [Record(filled, header).read()])
            uow.commit()
    assert header == exit_traceparent(book.signals()[0].signal_id)
    _check(found.spans, tick_span=tick_trace.split("-")[2])


def _check(spans: list[CollectedSpan], tick_span: str) -> None:
    by_name = {(span.service, span.name): span for span in spans}
    assert {("exit-ticks", "pass gates"), ("trade-fills", "close trade")} <= by_name.keys()
    published = [span for span in spans if span.name.startswith("publish ")]
    assert len(published) == 2  # the signal and the approved intent
    assert all(span.service == "relay" and 0 < span.start_ns <= span.end_ns for span in published)
    judged, detected = by_name["exit-ticks", "judge tick"], by_name["exit-ticks", "detect exit"]
    assert judged.parent_id == tick_span
    assert (judged.linked_spans, detected.linked_spans) == ([detected.span_id], [judged.span_id])
    assert {span.trace_id for span in spans} == {judged.trace_id, detected.trace_id}
    assert all(span.parent_id == detected.span_id for span in spans if span not in (judged, detected))
