"""Export of spans over OTLP/HTTP by the OpenTelemetry SDK; needs the extra `otel`."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

import requests
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from shared.clock import SystemClock
from shared.contracts.exits import ExitSignalPublished
from shared.errors import ConfigurationError
from shared.instants import epoch_us
from shared.outbox.after_commit import Emitted, Published
from shared.runtime.exit_spans import SpanTerms, span_of
from shared.runtime.tick_causes import TickCauses
from shared.runtime.trace import is_sampled
from shared.settings import Settings
from shared.version import VERSION

QUEUE_LENGTH = 8192
"""Spans waiting for the collector; more are dropped, so a slow collector costs memory and time no exit."""
BATCH = 512
EVERY_MS = 1000
TIMEOUT_S = 3


class SpanExport:
    """Turn committed events and published records into spans; a thread of the SDK sends them.

    Parameters
    ----------
    settings:
        With `otlp_endpoint`.

    Raises
    ------
    ConfigurationError
        The headers are not of the form name=value.
    """

    def __init__(self, settings: Settings) -> None:
        self._clock = SystemClock()
        self._ids = _PlannedIds()
        self._causes = TickCauses()
        session = requests.Session()
        session.trust_env = False  # a proxy for the web must not see the spans
        exporter = OTLPSpanExporter(
            endpoint=f"{settings.otlp_endpoint.rstrip('/')}/v1/traces",
            headers=_headers(settings),
            timeout=TIMEOUT_S,
            session=session,
        )
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": settings.process, "service.version": VERSION}),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(
                exporter,
                max_queue_size=QUEUE_LENGTH,
                max_export_batch_size=BATCH,
                schedule_delay_millis=EVERY_MS,
            )
        )
        self._tracer = self._provider.get_tracer("exitflow")

    def begin(self) -> int:
        """Return the time, in nanoseconds since 1970."""
        return epoch_us(self._clock.now()) * 1000

    def committed(self, emitted: Sequence[Emitted], began_ns: int) -> None:
        """Make the span of each event with a trace, and one of each tick that caused some of them."""
        ended_ns = self.begin()
        judged = self._judge_ticks(emitted, began_ns, ended_ns)
        for each in emitted:
            if each.traceparent is not None and is_sampled(each.traceparent):
                tick = judged.get(each.event.signal_id) if isinstance(each.event, ExitSignalPublished) else None
                self._record(each, span_of(each.event, began_ns), each.traceparent, tick, ended_ns)

    def tick_caused(self, trade_id: UUID, detected_at_us: int, traceparent: str) -> None:
        """Keep the trace of the tick until its exit is committed."""
        self._causes.add(trade_id, detected_at_us, traceparent)

    def published(self, records: Iterable[Published]) -> None:
        """Make the span of each record: from its row to the acknowledgement."""
        ended_ns = self.begin()
        for each in records:
            if is_sampled(each.traceparent):
                span = self._tracer.start_span(
                    f"publish {each.topic}",
                    context=_within(_context(each.traceparent)),
                    kind=SpanKind.PRODUCER,
                    attributes={"exitflow.event_id": each.event_id, "exitflow.event_type": each.event_type},
                    start_time=min(each.written_ns, ended_ns),
                )
                span.end(ended_ns)

    def close(self) -> None:
        """Send the waiting spans, for a few seconds at most, and end the thread."""
        self._provider.shutdown()

    def _judge_ticks(self, emitted: Sequence[Emitted], began_ns: int, ended_ns: int) -> dict[UUID, SpanContext]:
        """Make a span within the trace of each tick with exits, linked to them; return it by signal."""
        signals: dict[str, list[ExitSignalPublished]] = defaultdict(list)
        for event in (each.event for each in emitted):
            if isinstance(event, ExitSignalPublished):
                cause = self._causes.of(event.trade_id, epoch_us(event.detected_at))
                if cause is not None and is_sampled(cause):
                    signals[cause].append(event)
        judged: dict[UUID, SpanContext] = {}
        for cause, caused in signals.items():
            span = self._tracer.start_span(
                "judge tick",
                context=_within(_context(cause)),
                kind=SpanKind.CONSUMER,
                attributes={"exitflow.symbol": caused[0].symbol, "exitflow.exits": len(caused)},
                links=[Link(_context(each.own_traceparent)) for each in caused],
                start_time=min(began_ns, ended_ns),
            )
            span.end(ended_ns)
            judged |= dict.fromkeys((each.signal_id for each in caused), span.get_span_context())
        return judged

    def _record(
        self, emitted: Emitted, terms: SpanTerms, traceparent: str, tick: SpanContext | None, ended_ns: int
    ) -> None:
        trace = _context(traceparent)
        cause = emitted.cause
        links = [] if cause is None or cause == traceparent else [Link(_context(cause))]
        links += [] if tick is None else [Link(tick)]
        with self._ids.planned(trace if terms.is_first else None):
            span = self._tracer.start_span(
                terms.name,
                context=Context() if terms.is_first else _within(trace),
                kind=SpanKind.PRODUCER,
                attributes=terms.attributes,
                links=links,
                start_time=min(terms.start_ns, ended_ns),
            )
        if terms.error is not None:
            span.set_status(Status(StatusCode.ERROR, terms.error))
        span.end(ended_ns)


class _PlannedIds(RandomIdGenerator):
    """Random ids, except for the first span of an exit: its ids are already in its ``traceparent``."""

    def __init__(self) -> None:
        self._next = threading.local()

    @contextmanager
    def planned(self, first: SpanContext | None) -> Iterator[None]:
        """Give the next span of this thread these ids; None: random ones."""
        self._next.context = first
        try:
            yield
        finally:
            self._next.context = None

    def generate_trace_id(self) -> int:
        planned: SpanContext | None = getattr(self._next, "context", None)
        return super().generate_trace_id() if planned is None else planned.trace_id

    def generate_span_id(self) -> int:
        planned: SpanContext | None = getattr(self._next, "context", None)
        return super().generate_span_id() if planned is None else planned.span_id


def _within(parent: SpanContext) -> Context:
    return set_span_in_context(NonRecordingSpan(parent), Context())


def _context(traceparent: str) -> SpanContext:
    _, trace_id, span_id, flags = traceparent.split("-")
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))


def _headers(settings: Settings) -> dict[str, str]:
    text = settings.otlp_headers.get_secret_value() if settings.otlp_headers else ""
    pairs = [entry.partition("=") for entry in text.split(",") if entry.strip()]
    if any(not equals for _, equals, _ in pairs):
        raise ConfigurationError("EXITFLOW_OTLP_HEADERS: write name=value, comma separated")
    return {name.strip(): value.strip() for name, _, value in pairs}
