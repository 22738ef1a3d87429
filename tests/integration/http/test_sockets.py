"""Input at a server's socket: slow, too many, ambiguous, broken and hostile requests."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import uvicorn
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send

from shared.http.bounds import MAX_BODY_BYTES, MAX_HEADER_BYTES, MAX_HEADERS, MAX_PATH_BYTES, MAX_QUERY_BYTES
from shared.http.problems import MEDIA_TYPE
from shared.http.protocol import MAX_HEAD_BYTES, HttpLimits, bounded_protocol
from shared.runtime.process import server_config
from shared.settings import Settings
from tests.integration.http.conftest import TOKEN, Api
from tests.support.raw_http import Answer, RawServer, is_closed, read_answer, running_server
from tests.support.waiting import LIMIT_S, wait_until

CONNECTIONS = 30
HALF_OPEN = 600
REQUEST_S = 1.0
HOST = b"Host: x\r\n"
AUTH = f"Authorization: Bearer {TOKEN}\r\n".encode()
OK = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
POST = b"POST /trades HTTP/1.1\r\n" + HOST + AUTH + b"Content-Type: application/json\r\n"


@pytest.fixture(scope="module")
def server(apis: dict[str, Api]) -> Iterator[RawServer]:
    """Trade-api, with time for a request longer than any pause of a busy machine."""
    limits = Settings(http_connections=CONNECTIONS, http_request_timeout_s=100)
    with running_server(server_config(apis["trade-api"].app, limits, 0)) as running:
        yield running


@pytest.fixture(scope="module")
def hurried_server(apis: dict[str, Api]) -> Iterator[RawServer]:
    """Trade-api with a short limit on the arrival of a request."""
    limits = Settings(http_connections=CONNECTIONS, http_request_timeout_s=REQUEST_S)
    with running_server(server_config(apis["trade-api"].app, limits, 0)) as running:
        yield running


def is_problem(answer: Answer, status: int) -> bool:
    """Whether an answer is a problem document of this status."""
    assert answer.status == status, answer
    assert answer.headers["content-type"] == MEDIA_TYPE
    return bool(json.loads(answer.body)["status"] == status)


# slow


def test_half_open_connections_make_room_and_are_closed(hurried_server: RawServer) -> None:
    with ExitStack() as stack:
        silent = [stack.enter_context(hurried_server.connect()) for _ in range(4 * CONNECTIONS)]
        started = [stack.enter_context(hurried_server.connect()) for _ in range(CONNECTIONS)]
        for connection in started:
            connection.sendall(OK[:10])
        assert hurried_server.ask(OK).status == 200
        assert hurried_server.open_connections <= CONNECTIONS
        assert all(is_closed(connection) for connection in silent + started)
    wait_until(lambda: hurried_server.open_connections == 0, "every connection is forgotten")


def test_longest_arriving_request_makes_room_before_idle_connections(server: RawServer) -> None:
    with ExitStack() as stack:
        idle = [stack.enter_context(server.connect()) for _ in range(CONNECTIONS - 3)]
        for connection in idle:
            connection.sendall(OK)
            assert read_answer(connection).status == 200
        arriving = []
        for _ in range(3):
            arriving.append(stack.enter_context(server.connect()))
            arriving[-1].sendall(OK[:10])
            wait_until(lambda: server.open_connections == len(idle) + len(arriving), "it is taken in")
        assert server.ask(OK).status == 200
        assert is_closed(arriving[0])
        arriving[1].sendall(OK[10:])
        assert read_answer(arriving[1]).status == 200
        idle[0].sendall(OK)
        assert read_answer(idle[0]).status == 200


def test_many_half_open_connections_do_not_block_healthy_client(server: RawServer) -> None:
    with ExitStack() as stack:
        for _ in range(HALF_OPEN):
            stack.enter_context(server.connect()).sendall(OK[:10])
        assert server.ask(OK).status == 200
        assert server.open_connections <= CONNECTIONS


@pytest.mark.parametrize(
    "begun",
    [
        OK[:-2],
        POST[:-2],
        POST + b"Content-Length: 100\r\n\r\n{",
        POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    ],
    ids=["head", "head of a POST", "body", "chunked body"],
)
def test_a_request_that_drips_is_ended(hurried_server: RawServer, begun: bytes) -> None:
    drip = b"1\r\n \r\n" if b"chunked" in begun else b" "
    with hurried_server.connect() as connection:
        connection.sendall(begun)
        connection.settimeout(0.05)
        received = b""
        while not received:
            try:
                received = connection.recv(1)
            except TimeoutError:
                connection.sendall(drip)
        connection.settimeout(20)
        rest = b""
        while more := connection.recv(65536):
            rest += more
        assert b" 408 " in received + rest
        assert MEDIA_TYPE.encode() in rest


def test_a_second_request_that_drips_is_ended_too(hurried_server: RawServer) -> None:
    for begun in (b"\r\n", b"GET", b"\r\nGET /"):
        with hurried_server.connect() as connection:
            connection.sendall(OK)
            assert read_answer(connection).status == 200
            connection.sendall(begun)
            assert is_closed(connection)


def test_a_client_that_takes_no_answer_is_cut() -> None:
    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1000):
            await send({"type": "http.response.body", "body": b"x" * 1_000_000, "more_body": True})

    limits = HttpLimits(10, REQUEST_S, answer_s=0.5)
    config = uvicorn.Config(endless, port=0, http=bounded_protocol(limits), lifespan="off", log_config=None)
    with running_server(config) as running, running.connect() as connection:
        connection.sendall(OK)
        assert connection.recv(1) == b"H"
        wait_until(lambda: running.open_connections == 0, "the connection is cut")


# many


def test_beyond_the_limit_of_working_connections_the_answer_is_503() -> None:
    begun, gate = threading.Semaphore(0), threading.Event()

    async def working(scope: Scope, receive: Receive, send: Send) -> None:
        begun.release()
        await asyncio.to_thread(gate.wait, LIMIT_S)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    config = uvicorn.Config(working, port=0, http=bounded_protocol(HttpLimits(3, 60)), lifespan="off", log_config=None)
    with running_server(config) as running, ExitStack() as stack:
        at_work = [stack.enter_context(running.connect()) for _ in range(3)]
        for connection in at_work:
            connection.sendall(OK)
            assert begun.acquire(timeout=LIMIT_S)
        refused = running.ask(OK)
        gate.set()
        assert is_problem(refused, 503)
        assert refused.headers["retry-after"] == "1"
        assert [read_answer(connection).status for connection in at_work] == [204, 204, 204]
        assert running.ask(OK).status == 204


def test_an_idle_connection_makes_room(server: RawServer) -> None:
    with ExitStack() as stack:
        idle = [stack.enter_context(server.connect()) for _ in range(CONNECTIONS)]
        for connection in idle:
            connection.sendall(OK)
            assert read_answer(connection).status == 200
        assert server.ask(OK).status == 200
        assert is_closed(idle[0])
        idle[-1].sendall(OK)
        assert read_answer(idle[-1]).status == 200


# ambiguous

SMUGGLED = b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"
LENGTHS = [
    b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
    b"transfer-encoding: Chunked\r\ncontent-length: 0\r\n",
    b"Content-Length: 4\r\nContent-Length: 5\r\n",
    b"Content-Length: 4, 5\r\n",
    b"Content-Length: -1\r\n",
    b"Content-Length: +4\r\n",
    b"Content-Length: 0x4\r\n",
    b"Content-Length: 4 4\r\n",
    b"Content-Length: " + b"9" * 5000 + b"\r\n",
    b"Content-Length : 4\r\n",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: chunked, identity\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer-Encoding: xchunked\r\n",
    b"Transfer-Encoding : chunked\r\n",
    b"Transfer-Encoding:\x0bchunked\r\n",
]


@pytest.mark.parametrize("lengths", LENGTHS, ids=[lengths.decode("latin-1")[:40] for lengths in LENGTHS])
def test_body_of_unclear_length_is_refused_and_connection_closed(server: RawServer, lengths: bytes) -> None:
    with server.connect() as connection:
        connection.sendall(POST + lengths + b"\r\n0\r\n\r\n" + SMUGGLED)
        received = b""
        with pytest.MonkeyPatch.context():
            while more := connection.recv(65536):
                received += more
    assert received.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 "))
    assert received.count(b"HTTP/1.1") == 1, "what follows is no request"
    assert MEDIA_TYPE.encode() in received


# broken

BROKEN = {
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "no colon": b"GET /healthz HTTP/1.1\r\n" + HOST + b"nonsense\r\n\r\n",
    "no name": b"GET /healthz HTTP/1.1\r\n" + HOST + b": x\r\n\r\n",
    "NUL in a value": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: a\0b\r\n\r\n",
    "CR in a value": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: a\rb\r\n\r\n",
    "NUL in the path": b"GET /heal\0thz HTTP/1.1\r\n" + HOST + b"\r\n",
    "bytes in the path": b"GET /\xff\xfe HTTP/1.1\r\n" + HOST + b"\r\n",
    "no version": b"GET /healthz\r\n\r\n",
    "a long version": b"GET /healthz HTTP/11.1\r\n" + HOST + b"\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": bytes.fromhex("16030100a5010000a10303") + b"\0" * 200 + b"\r\n\r\n",
    "a bad chunk": POST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "a huge chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"F" * 30 + b"\r\n",
    "a negative chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n",
    "a long first line": b"GET /" + b"a" * (2 * MAX_HEAD_BYTES),
    "a long header": b"GET /healthz HTTP/1.1\r\nX: " + b"a" * (2 * MAX_HEAD_BYTES),
}


@pytest.mark.parametrize("request_bytes", BROKEN.values(), ids=BROKEN)
def test_what_is_not_http_is_a_problem(server: RawServer, request_bytes: bytes) -> None:
    answer = server.ask(request_bytes)
    assert is_problem(answer, answer.status)
    assert 400 <= answer.status < 500
    assert server.ask(OK).status == 200


TARGETS = {
    "CONNECT": (b"CONNECT evil.example:443 HTTP/1.1\r\n", 404),
    "asterisk": (b"OPTIONS * HTTP/1.1\r\n", 404),
    "absolute": (b"GET http://evil.example/x HTTP/1.1\r\n", 404),
    "TRACE": (b"TRACE /healthz HTTP/1.1\r\n", 405),
    "encoded NUL": (b"GET /trades/%00 HTTP/1.1\r\n", 422),
    "encoded bytes": (b"GET /trades/%ff%fe HTTP/1.1\r\n", 422),
    "dots": (b"GET /../../etc/passwd HTTP/1.1\r\n", 404),
    "slashes": (b"GET //evil.example/ HTTP/1.1\r\n", 404),
    "upgrade": (b"GET /x HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", 404),
    "old": (b"GET /x HTTP/1.0\r\n", 404),
}


@pytest.mark.parametrize(("line", "status"), TARGETS.values(), ids=TARGETS)
def test_an_odd_target_is_a_problem(server: RawServer, line: bytes, status: int) -> None:
    assert is_problem(server.ask(line + HOST + AUTH + b"\r\n"), status)


@given(st.binary(max_size=400) | st.lists(st.sampled_from([OK, POST, *LENGTHS, b"\r\n", b"0\r\n\r\n"])).map(b"".join))
@example(b"\r\n" * 100)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_end_the_server(server: RawServer, sent: bytes) -> None:
    with server.connect() as connection:
        connection.sendall(sent)
    assert server.ask(OK).status == 200


# large


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /" + b"a" * MAX_PATH_BYTES + b" HTTP/1.1\r\n" + HOST, 414),
        (b"GET /healthz?" + b"a" * (MAX_QUERY_BYTES + 1) + b" HTTP/1.1\r\n" + HOST, 414),
        (OK[:-2] + b"".join(b"X-%d: a\r\n" % n for n in range(MAX_HEADERS)), 431),
        (OK[:-2] + b"X: " + b"a" * MAX_HEADER_BYTES + b"\r\n", 431),
        (POST + b"Content-Length: %d\r\n" % (MAX_BODY_BYTES + 1), 413),
        (POST + b"Content-Length: " + b"9" * 19 + b"\r\n", 413),
    ],
)
def test_what_is_declared_too_large_is_refused_at_once(server: RawServer, head: bytes, status: int) -> None:
    assert is_problem(server.ask(head + b"\r\n"), status)


@pytest.mark.parametrize("size", [1000, 70_000])
def test_a_body_that_declares_no_length_ends_at_the_limit(server: RawServer, size: int) -> None:
    chunk = b"%x\r\n%s\r\n" % (size, b" " * size)
    with server.connect() as connection:
        connection.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        sender = threading.Thread(target=_send_until_closed, args=(connection, chunk))
        sender.start()
        answer = read_answer(connection)
        assert is_closed(connection)
        sender.join()
    assert is_problem(answer, 413)


def _send_until_closed(connection: socket.socket, chunk: bytes) -> None:
    try:
        while True:
            connection.sendall(chunk)
    except OSError:
        return


def test_large_body_is_read_fully_so_answer_arrives(server: RawServer) -> None:
    with server.connect() as connection:
        connection.sendall(POST + b"Content-Length: 1000000\r\n\r\n" + b" " * 1_000_000 + OK)
        assert is_problem(read_answer(connection), 413)
        assert read_answer(connection).status == 200


def test_a_chunked_body_within_the_limit_is_taken(server: RawServer) -> None:
    answer = server.ask(POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
    assert is_problem(answer, 422)
    assert "body.symbol" in {error["field"] for error in json.loads(answer.body)["errors"]}


def test_requests_in_a_row_are_answered_in_order(server: RawServer) -> None:
    with server.connect() as connection:
        connection.sendall(OK + b"GET /nothing HTTP/1.1\r\n" + HOST + b"\r\n" + OK)
        assert [read_answer(connection).status for _ in range(3)] == [200, 404, 200]
