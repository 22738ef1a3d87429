"""Traces of the ticks behind exits. Headers of ticks are read here only, and only while spans are exported."""

from __future__ import annotations

from services.exit_qualification.ticks.batch import BatchResult
from shared.kafka.clients import headers_of
from shared.outbox import after_commit
from shared.runtime.trace import valid_traceparent


def trace_causes(result: BatchResult) -> None:
    """Tell the tracer of the process, if it has one, the tick of each exit."""
    tracer = after_commit.tracer()
    if tracer is None:
        return
    for message, found in result.causing:
        traceparent = valid_traceparent(headers_of(message).get("traceparent"))
        if traceparent is not None:
            for each in found:
                tracer.tick_caused(each.trade.trade_id, each.candidates[0].detected_at_us, traceparent)
