"""Export of spans over OTLP/HTTP by the OpenTelemetry SDK; needs the extra `otel`."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

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
from shared.errors import ConfigurationError
from shared.instants import epoch_us
from shared.outbox.after_commit import Emitted
from shared.runtime.exit_spans import SpanTerms, span_of
from shared.settings import Settings
from shared.version import VERSION

QUEUE_LENGTH = 8192
"""Spans that wait for the collector; more are dropped, so a slow collector costs memory and time no exit."""
BATCH = 512
EVERY_MS = 1000
TIMEOUT_S = 3


class SpanExport:
    """Turn committed events into spans; a thread of the SDK sends them.

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
        session = requests.Session()
        session.trust_env = False  # a proxy for the web must not see what is sent to the collector
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
        """Make the span of each event that is part of a trace."""
        ended_ns = self.begin()
        for each in emitted:
            if each.traceparent is not None:
                self._record(each, span_of(each.event, began_ns), each.traceparent, ended_ns)

    def close(self) -> None:
        """Send what waits, for a few seconds at most, and end the thread."""
        self._provider.shutdown()

    def _record(self, emitted: Emitted, terms: SpanTerms, traceparent: str, ended_ns: int) -> None:
        trace = _context(traceparent)
        cause = emitted.cause
        links = [] if cause is None or cause == traceparent else [Link(_context(cause))]
        with self._ids.planned(trace if terms.is_first else None):
            span = self._tracer.start_span(
                terms.name,
                context=Context() if terms.is_first else set_span_in_context(NonRecordingSpan(trace), Context()),
                kind=SpanKind.PRODUCER,
                attributes=terms.attributes,
                links=links,
                start_time=min(terms.start_ns, ended_ns),
            )
        if terms.error is not None:
            span.set_status(Status(StatusCode.ERROR, terms.error))
        span.end(ended_ns)


class _PlannedIds(RandomIdGenerator):
    """Random ids, but for the first span of an exit, whose ids its ``traceparent`` has told already."""

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


def _context(traceparent: str) -> SpanContext:
    _, trace_id, span_id, flags = traceparent.split("-")
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))


def _headers(settings: Settings) -> dict[str, str]:
    text = settings.otlp_headers.get_secret_value() if settings.otlp_headers else ""
    pairs = [entry.partition("=") for entry in text.split(",") if entry.strip()]
    if any(not equals for _, equals, _ in pairs):
        raise ConfigurationError("EXITFLOW_OTLP_HEADERS: write name=value, comma separated")
    return {name.strip(): value.strip() for name, _, value in pairs}
