"""The Kite adapter against servers unlike Kite."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import Engine

from deploy.local.processes.ports import free_port
from services.exit_qualification.domain.order_terms import BrokerStatus
from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.orders.accounts.account_errors import AccountErrors
from services.exit_qualification.orders.brokers.kite.clients import TOKEN_PROBLEM
from services.exit_qualification.orders.brokers.port import (
    NO_ANSWER,
    TOKEN_EXPIRED,
    UNREACHABLE,
    Ambiguous,
    BrokerUnavailable,
    NotAccepted,
    TokenExpired,
)
from services.exit_qualification.orders.brokers.registry import BOOK_DAYS
from services.exit_qualification.storage.exit_lists import ExitLists
from services.exit_qualification.storage.operator_controls import SwitchRepository
from shared.clock import SystemClock
from shared.contracts.vocabulary import IntentStatus
from shared.postgres.audit import Act
from shared.runtime.health import Health
from tests.integration.exit_qualification.orders.order_scenario import OrderScenario
from tests.integration.exit_qualification.orders.test_broker_contract import ORDER, kite_brokers, kite_port
from tests.integration.paper_broker.conftest import running_broker

Answer = tuple[int, dict[str, str], bytes]


@contextmanager
def server_answering(answer: Answer) -> Iterator[tuple[str, list[str]]]:
    """A server with one answer to everything; its URL, and the requests received."""
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


@pytest.mark.parametrize("answer", ODD_ANSWERS)
def test_an_odd_answer_to_a_read_is_no_empty_book(answer: Answer) -> None:
    with server_answering(answer) as (url, _), pytest.raises(BrokerUnavailable):
        kite_port(url).orders()


def test_a_redirect_does_not_send_the_order_again() -> None:
    with server_answering((307, {"location": "/orders/regular"}, b"")) as (url, got):
        assert isinstance(kite_port(url).place_market_exit(ORDER), Ambiguous)
    assert got == ["POST /orders/regular"]


def test_an_absent_broker_is_unavailable_to_reads() -> None:
    port = kite_port(f"http://127.0.0.1:{free_port('nobody listens')}")
    with pytest.raises(BrokerUnavailable):
        port.trades()


def test_a_wrong_address_leaves_a_correctable_error_on_the_exit(exit_engine: Engine) -> None:
    wrong = UserBroker("paper", "kite", "PAPER", f"http://127.0.0.1:{free_port('wrong')}", BrokerStatus.CONNECTED)
    scenario = OrderScenario(exit_engine, kite_brokers("127.0.0.1"))
    put(exit_engine, wrong)
    intent = scenario.approved()
    assert scenario.sender.execute_next()
    waiting = scenario.expect(intent, IntentStatus.APPROVED)
    assert (waiting.error_code, waiting.submitted_at, waiting.attempts) == (UNREACHABLE, None, 1)
    put(exit_engine, replace(wrong, root_url="http://127.0.0.1:1"))


def test_a_forbidden_address_is_shown_on_the_exit(exit_engine: Engine) -> None:
    scenario = OrderScenario(exit_engine, kite_brokers("api.kite.trade"))
    intent = scenario.approved()
    assert scenario.sender.execute_next()
    waiting = scenario.expect(intent, IntentStatus.APPROVED)
    assert (waiting.error_code, waiting.attempts) == (UNREACHABLE, 0)
    assert "EXITFLOW_BROKER_HOSTS" in (waiting.error_message or "")


TOKEN_REFUSED = b'{"status": "error", "message": "expired", "error_type": "TokenException"}'


def test_a_refused_token_shows_until_it_is_accepted(exit_engine: Engine) -> None:
    health = Health()
    scenario = OrderScenario(exit_engine, kite_brokers("127.0.0.1", health=health))
    user_broker = UserBroker("paper", "kite", "PAPER", "", BrokerStatus.CONNECTED)
    with server_answering((403, JSON, TOKEN_REFUSED)) as (url, _):
        put(exit_engine, replace(user_broker, root_url=url))
        intent = scenario.approved()
        assert scenario.sender.execute_next()
        assert scenario.expect(intent, IntentStatus.APPROVED).error_code == TOKEN_EXPIRED
        assert health.problems() == {"broker paper": TOKEN_PROBLEM}
        with exit_engine.begin() as connection:
            assert ExitLists(connection).waiting_errors()["paper"].code == TOKEN_EXPIRED
        with pytest.raises(TokenExpired):
            kite_brokers("127.0.0.1", health=health).port(replace(user_broker, root_url=url)).orders()
    with server_answering((200, JSON, b'{"status": "success", "data": []}')) as (url, _):
        kite_brokers("127.0.0.1", health=health).port(replace(user_broker, root_url=url)).orders()
    assert health.is_ready()


def test_refused_access_token_of_disconnected_account_is_no_problem(exit_engine: Engine) -> None:
    health = Health()
    brokers = kite_brokers("127.0.0.1", health=health)
    scenario = OrderScenario(exit_engine, brokers)
    user_broker = UserBroker("paper", "kite", "PAPER", "", BrokerStatus.CONNECTED)
    accounts = AccountErrors(scenario.open_unit, scenario.terms.limits, brokers.forget_refused_token)
    with server_answering((403, JSON, TOKEN_REFUSED)) as (url, _), pytest.raises(TokenExpired):
        put(exit_engine, replace(user_broker, root_url=url))
        brokers.port(replace(user_broker, root_url=url)).orders()
    accounts.note_once()
    assert health.problems() == {"broker paper": TOKEN_PROBLEM}, "a connected account's token has to be renewed"
    scenario.connect(BrokerStatus.DISCONNECTED)
    accounts.note_once()
    assert health.is_ready()


def put(engine: Engine, broker: UserBroker) -> None:
    """Say where the broker is."""
    with engine.begin() as connection:
        SwitchRepository(connection).put_broker(broker, Act("test", "moved"), book_days=BOOK_DAYS)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("refused", "Connection refused"),
        ("no such name", r"Name or service not known|Temporary failure|No address|timed out"),
        ("no answer to connecting", "timed out"),
        ("untrusted certificate", "its certificate is not trusted: self-signed certificate"),
    ],
)
def test_a_failed_connection_proves_that_nothing_was_sent(
    address: str, reason: str, unreachable: dict[str, str]
) -> None:
    outcome = kite_port(unreachable[address], timeout_s=0.3, hosts="127.0.0.1,nowhere.invalid").place_market_exit(ORDER)
    assert isinstance(outcome, NotAccepted)
    assert (outcome.code, outcome.was_sent) == (UNREACHABLE, False)
    assert re.fullmatch(rf"NotConnected: [\w.]+(:\d+)?: ({reason}).*", outcome.reason)


def test_a_row_edited_to_another_host_gets_no_token() -> None:
    with server_answering((200, JSON, b"{}")) as (url, got), pytest.raises(BrokerUnavailable, match="BROKER_HOSTS"):
        kite_port(url, hosts="api.kite.trade")
    assert got == []


@pytest.fixture
def unreachable(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Addresses without a connection, each for another reason."""
    with full_backlog() as full, tls_server(tmp_path) as tls:
        yield {
            "refused": f"http://127.0.0.1:{free_port('nobody listens here')}",
            "no such name": "https://nowhere.invalid",
            "no answer to connecting": full,
            "untrusted certificate": tls,
        }


@contextmanager
def full_backlog() -> Iterator[str]:
    """A listener with a full queue: the kernel drops attempts to connect."""
    with socket.socket() as listener, ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def tls_server(directory: Path) -> Iterator[str]:
    """A server with an untrusted certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(directory))
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def self_signed(directory: Path) -> Path:
    """A file with a key and a self-signed certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = SystemClock().now()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = directory / "server.pem"
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return file


def test_a_call_ends_although_its_answer_comes_in_pieces_forever(tmp_path: Path) -> None:
    with running_broker(tmp_path) as paper:
        port = kite_port(paper.url, timeout_s=0.5)
        paper.fault({"kind": "slow_answer", "ms": 60, "parts": 100}, symbol=None, count=2)
        with pytest.raises(BrokerUnavailable, match="did not end within"):
            port.orders()
        outcome = port.place_market_exit(ORDER)
        assert isinstance(outcome, Ambiguous) and outcome.code == NO_ANSWER
        assert len(port.orders()) == 1


@contextmanager
def server_trickling(head: bytes, body: bytes, pause_s: float) -> Iterator[str]:
    """A server that sends the head of its one answer byte by byte; its URL."""
    over = threading.Event()

    def answer(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection, suppress(OSError):  # the client may be gone
            connection.recv(65_536)
            for byte in head:
                connection.sendall(bytes([byte]))
                over.wait(pause_s)
            connection.sendall(body)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer, args=(listening,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            over.set()
            thread.join()


@pytest.mark.parametrize(("pause_s", "is_read"), [(0.05, False), (0.0, True)])
def test_a_call_ends_although_its_head_comes_byte_by_byte(pause_s: float, is_read: bool) -> None:
    body = b'{"status": "success", "data": []}'
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    with server_trickling(head, body, pause_s) as url:
        port = kite_port(url, timeout_s=0.5)
        if is_read:
            assert port.orders() == []
        else:
            with pytest.raises(BrokerUnavailable, match=r"timed out|did not end"):
                port.orders()


@pytest.mark.parametrize("parts", [1, 7])
def test_an_answer_in_pieces_is_read_whole(tmp_path: Path, parts: int) -> None:
    with running_broker(tmp_path) as paper:
        paper.price("NSE:INFY", "1000.00")
        port = kite_port(paper.url)
        port.place_market_exit(ORDER)
        paper.fault({"kind": "slow_answer", "ms": 5, "parts": parts}, symbol=None, count=2)
        assert [(len(port.orders()), len(port.trades())) for _ in range(2)] == [(1, 1)] * 2
        assert [row.symbol for row in port.instruments().instruments] == ["NSE:INFY"]
