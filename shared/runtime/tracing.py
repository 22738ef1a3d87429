"""Spans to an OpenTelemetry collector, where one is configured. Without it none is made and its SDK is not loaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from shared.errors import ConfigurationError
from shared.outbox import after_commit
from shared.settings import Settings


@contextmanager
def traced(settings: Settings) -> Iterator[None]:
    """While inside, export a span for every committed event if a collector is configured.

    Raises
    ------
    ConfigurationError
        The packages of the extra `otel` are missing.
    """
    if not settings.otlp_endpoint:
        yield
        return
    try:
        from shared.runtime.otlp import SpanExport
    except ImportError as error:
        raise ConfigurationError(
            "EXITFLOW_OTLP_ENDPOINT needs OpenTelemetry: pip install 'exitflow[otel]', or unset it"
        ) from error
    export = SpanExport(settings)
    after_commit.trace_with(export)
    try:
        yield
    finally:
        after_commit.trace_with(None)
        export.close()
