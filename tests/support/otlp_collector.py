"""A collector of spans: OTLP over HTTP, in this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class CollectedSpan:
    """A span as it arrived."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    start_ns: int
    end_ns: int
    attributes: dict[str, Any]
    links: list[str]
    """Trace ids."""
    linked_spans: list[str]
    error: str


@dataclass
class Collector:
    """The requests received; requests without `headers` are refused."""

    headers: dict[str, str]
    url: str = ""
    spans: list[CollectedSpan] = field(default_factory=list)
    refused: int = 0

    def take(self, body: bytes) -> None:
        """Keep the spans of a request."""
        request = ExportTraceServiceRequest.FromString(body)
        for of_resource in request.resource_spans:
            resource = {each.key: each.value.string_value for each in of_resource.resource.attributes}
            for of_scope in of_resource.scope_spans:
                self.spans += (_span(resource["service.name"], span) for span in of_scope.spans)


def _span(service: str, span: Any) -> CollectedSpan:
    return CollectedSpan(
        service=service,
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        attributes={each.key: each.value.string_value or each.value.int_value for each in span.attributes},
        links=[link.trace_id.hex() for link in span.links],
        linked_spans=[link.span_id.hex() for link in span.links],
        error=span.status.message if span.status.code == 2 else "",
    )


@contextmanager
def collector(**headers: str) -> Iterator[Collector]:
    """While inside, a collector on a free port of loopback."""
    found = Collector(headers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            is_wanted = self.path == "/v1/traces" and all(self.headers[k] == v for k, v in headers.items())
            if is_wanted:
                found.take(body)
            else:
                found.refused += 1
            self.send_response(200 if is_wanted else 401)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="collector")
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
