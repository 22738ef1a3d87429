"""The health command names the problem."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from deploy.compose import health_probe as readiness


class Answer(BaseHTTPRequestHandler):
    status, body = 200, b'{"status": "ready"}'
    port: int

    def do_GET(self) -> None:
        assert self.path == "/readyz"
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def answer() -> Iterator[type[Answer]]:
    handler: type[Answer] = type("Own", (Answer,), {})
    server = HTTPServer(("127.0.0.1", 0), handler)
    handler.port = server.server_port
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield handler
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_ready_process_is_ready(answer: type[Answer], capsys: pytest.CaptureFixture[str]) -> None:
    assert readiness.report([f"http://127.0.0.1:{answer.port}"]) == 0
    assert capsys.readouterr().out.endswith(": ready\n")


def test_one_that_is_not_says_why(answer: type[Answer], capsys: pytest.CaptureFixture[str]) -> None:
    answer.status, answer.body = 503, b'{"detail": "kafka: no broker answers"}'
    assert readiness.report([f"http://127.0.0.1:{answer.port}"]) == 1
    assert "not ready (503): kafka: no broker answers" in capsys.readouterr().out


def test_answer_without_problem_document_is_also_reported(
    answer: type[Answer], capsys: pytest.CaptureFixture[str]
) -> None:
    answer.status, answer.body = 500, b"["
    assert readiness.report([f"http://127.0.0.1:{answer.port}"]) == 1
    assert "not ready (500): no reason given" in capsys.readouterr().out


def test_one_that_does_not_answer_fails_though_others_do(
    answer: type[Answer], capsys: pytest.CaptureFixture[str]
) -> None:
    assert readiness.report([f"http://127.0.0.1:{answer.port}", "http://127.0.0.1:1"]) == 1
    assert "does not answer" in capsys.readouterr().out


def test_without_a_url_the_process_of_this_environment_is_asked(
    answer: type[Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXITFLOW_HTTP_PORT", str(answer.port))
    assert readiness.report([]) == 0
    monkeypatch.delenv("EXITFLOW_HTTP_PORT")
    assert readiness.report([]) == 2


def test_it_loads_nothing_but_the_standard_library() -> None:
    program = "import sys, deploy.compose.health_probe; print({'typer', 'pydantic', 'sqlalchemy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
