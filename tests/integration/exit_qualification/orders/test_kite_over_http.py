"""What the Kite adapter makes of servers that do not behave like Kite."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from deploy.local.ports import free_port
from services.exit_qualification.orders.broker_port import NO_ANSWER, Ambiguous, BrokerUnavailable
from tests.integration.exit_qualification.orders.test_broker_contract import ORDER, kite_port

Answer = tuple[int, dict[str, str], bytes]


@contextmanager
def server_answering(answer: Answer) -> Iterator[tuple[str, list[str]]]:
    """A server that gives one answer to everything; its URL, and the requests that it got."""
    got: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the base class's name
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def _answer(self) -> None:
            status, headers, body = answer
            got.append(f"{self.command} {self.path}")
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


JSON = {"content-type": "application/json"}
ODD_ANSWERS: list[Answer] = [
    (200, {}, b"{}"),
    (200, JSON, b"{}"),
    (200, JSON, b'{"status": "success", "data": {}}'),
    (200, JSON, b'{"status": "success", "data": null}'),
    (200, JSON, b'["not", "an", "object"]'),
    (200, JSON, b"not json"),
    (200, {"content-type": "text/html"}, b"<h1>maintenance</h1>"),
    (502, {"content-type": "text/html"}, b"bad gateway"),
]


@pytest.mark.parametrize("answer", ODD_ANSWERS)
def test_an_odd_answer_to_an_order_is_ambiguous(answer: Answer) -> None:
    with server_answering(answer) as (url, _):
        outcome = kite_port(url).place_market_exit(ORDER)
    assert isinstance(outcome, Ambiguous)
    assert (outcome.code, outcome.refused) == (NO_ANSWER, False)


@pytest.mark.parametrize("answer", [*ODD_ANSWERS, (200, JSON, b'{"status": "success", "data": [{"order_id": "1"}]}')])
def test_an_odd_answer_to_a_read_is_no_empty_book(answer: Answer) -> None:
    with server_answering(answer) as (url, _), pytest.raises(BrokerUnavailable):
        kite_port(url).orders()


def test_a_redirect_does_not_send_the_order_again() -> None:
    with server_answering((307, {"location": "/orders/regular"}, b"")) as (url, got):
        assert isinstance(kite_port(url).place_market_exit(ORDER), Ambiguous)
    assert got == ["POST /orders/regular"]


def test_a_broker_that_is_not_there_is_ambiguous_to_an_order_and_unavailable_to_a_read() -> None:
    port = kite_port(f"http://127.0.0.1:{free_port('nobody listens')}")
    assert isinstance(port.place_market_exit(ORDER), Ambiguous)
    with pytest.raises(BrokerUnavailable):
        port.trades()
