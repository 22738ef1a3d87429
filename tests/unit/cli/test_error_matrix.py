"""Every command over every refusal of a server: the documented exit status, one line, and a next step."""

from __future__ import annotations

import json
import re
import shlex
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType, SimpleNamespace

import pytest

from services.cli.support import kafka_check
from tests.unit.cli.results import Result
from tests.unit.cli.test_command_matrix import COMMANDS
from tests.unit.cli.test_damaged_files import READERS

Exitflow = Callable[..., Result]

REFUSALS = {
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    409: "conflict",
    412: "precondition_failed",
    422: "invalid_input",
    429: "too_many_requests",
    500: "internal_error",
    503: "unavailable",
}
FILES = {
    "note.csv": "note.csv",
    "actions.csv": "actions.csv",
    "calendars-2026.toml": "hours.toml",
    "freeze.csv": "instruments.csv",
}
"""The input files of examples, and valid contents of them."""
WITHOUT_API = (
    "up", "down", "status", "forward", "run ", "demo", "top", "doctor", "check", "health", "settings", "secrets ",
    "migrate ", "provision", "topics ", "tokens create", "replay", "gaps ", "faults ", "ticks replay", "ticks send",
    "ticks reset", "ticks rehome", "outbox partitions", "outbox rebase", "outbox republish", "outbox catch-up",
    "trades reconcile",
)  # fmt: skip
"""Commands that ask no API, or report its silence as their result."""


def example_of(words: str) -> list[str]:
    """Return the arguments of a command's first example."""
    line = next(each for each in COMMANDS[words].epilog.splitlines() if each.startswith(f"$ exitflow {words}"))
    return shlex.split(line)[2:]


WITHOUT_STACK_FILE = ("up", "down", "status", "demo", "replay")
"""Commands with a data directory that read no stack.json in their first example."""
ON_STACK = {
    words: example_of(words)
    for words, command in COMMANDS.items()
    if words not in WITHOUT_STACK_FILE and any("--data-dir" in parameter.opts for parameter in command.params)
}
ASKING = {words: example_of(words) for words in COMMANDS if not words.startswith(WITHOUT_API)}
ON_KAFKA = (
    "check", "outbox catch-up", "ticks rehome", "ticks replay", "ticks reset", "ticks send", "topics acls",
    "topics adopt", "topics create", "topics grow", "trades reconcile",
)  # fmt: skip
"""Commands whose first example needs Kafka."""
WITHOUT_DATABASE = ("doctor", "top", "faults ", "topics ", "ticks send", "ticks replay", "ticks rehome", "run ")
"""Commands on a stack whose first example needs no database, or whose question comes after Kafka's topics."""
ON_DATABASES = sorted(each for each in ON_STACK.keys() - ASKING.keys() if not each.startswith(WITHOUT_DATABASE))


class Refusing(BaseHTTPRequestHandler):
    """Answers every request with the status named by the first part of its path; a success has no field."""

    def do_GET(self) -> None:
        """Answer."""
        status = int(self.path.split("/")[1])
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        told = {"detail": "it is refused", "code": REFUSALS[status]} if status in REFUSALS else {}
        answer = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_PUT = do_PATCH = do_GET  # noqa: N815 - the names of the base class

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture(scope="module")
def refusing() -> Iterator[str]:
    """Both APIs; their root URL lacks the status."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the files of the examples."""
    for name, like in FILES.items():
        (tmp_path / name).write_text(READERS[like][1])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_stack(place: Path, api: str, more: Mapping[str, str] = MappingProxyType({})) -> None:
    """Name the APIs of a running stack in its directory, and more of it."""
    stack = {"exit_api": api, "trade_api": api, "token": "t", "kafka_bootstrap_servers": "127.0.0.1:1"}
    (place / "stack.json").write_text(json.dumps({**stack, **more}))


def test_most_commands_ask_an_api() -> None:
    assert len(ASKING) >= 40


@pytest.mark.parametrize("words", sorted(ASKING))
def test_a_refused_command_says_why_and_what_next(exitflow: Exitflow, place: Path, refusing: str, words: str) -> None:
    for status, code in REFUSALS.items():
        write_stack(place, f"{refusing}/{status}")
        ended = exitflow(*ASKING[words], "--data-dir", str(place))
        assert (ended.status, ended.out) == (1, ""), status
        (line,) = ended.err.splitlines()
        assert line.startswith("exitflow: it is refused ")
        assert f"({status} {code}); " in line


@pytest.mark.parametrize("words", sorted(ASKING))
def test_an_answer_of_another_version_is_no_traceback(
    exitflow: Exitflow, place: Path, refusing: str, words: str
) -> None:
    write_stack(place, f"{refusing}/200")
    ended = exitflow(*ASKING[words], "--data-dir", str(place))
    if ended.status != 0:  # a command that reads no field of the answer succeeds
        line = ended.err.splitlines()[-1]
        assert line.startswith("exitflow: the answer of ") and "another version" in line, ended


@pytest.mark.parametrize("words", sorted(ON_STACK))
@pytest.mark.parametrize(
    ("content", "status", "problem"), [("{}", 1, "has no field"), ("[]", 2, "is damaged"), ("{", 2, "is damaged")]
)
def test_a_stack_file_of_another_version_or_damaged_is_named(
    exitflow: Exitflow, place: Path, words: str, content: str, status: int, problem: str
) -> None:
    (place / "stack.json").write_text(content)
    ended = exitflow(*ON_STACK[words], "--data-dir", str(place))
    assert (ended.status, ended.out) == (status, "")
    assert f"exitflow: {place / 'stack.json'} {problem}" in ended.err.splitlines()[-1]


@pytest.mark.parametrize("words", ON_KAFKA)
def test_a_command_without_kafka_says_what_next(
    exitflow: Exitflow, place: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.setattr(kafka_check, "KAFKA_ANSWER_S", 0.01)
    url = "postgresql://role:password@127.0.0.1:1/none"
    described = {"exit_database_url": url, "trade_database_url": url, "admin_database_url": url}
    write_stack(place, "http://127.0.0.1:1", described | {"paper_broker": "http://127.0.0.1:1"})
    ended = exitflow(*ON_STACK[words], "--data-dir", str(place))
    assert (ended.status, ended.out) == (1, "")
    (line,) = ended.err.splitlines()
    assert line.startswith("exitflow: Kafka at 127.0.0.1:1 does not answer (")
    assert line.endswith(": is EXITFLOW_KAFKA_BOOTSTRAP_SERVERS right? `exitflow doctor` finds out why")


@pytest.mark.parametrize("words", ON_DATABASES)
def test_a_command_without_its_database_says_what_next(
    exitflow: Exitflow, place: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.setattr(kafka_check, "open_admin", lambda _: SimpleNamespace(list_topics=lambda timeout: None))
    url = "postgresql://role:password@127.0.0.1:1/none"
    described = {"exit_database_url": url, "trade_database_url": url, "admin_database_url": url}
    write_stack(place, "http://127.0.0.1:1", described | {"paper_broker": "http://127.0.0.1:1"})
    ended = exitflow(*ON_STACK[words], "--data-dir", str(place))
    assert (ended.status, ended.out) == (1, "")
    line = ended.err.splitlines()[-1]
    assert line.startswith("exitflow: PostgreSQL does not answer: ")
    assert line.endswith("; `exitflow doctor` finds out why")


@pytest.mark.parametrize("words", sorted(ASKING))
def test_a_command_without_its_server_says_what_next(exitflow: Exitflow, place: Path, words: str) -> None:
    write_stack(place, "http://127.0.0.1:1")
    ended = exitflow(*ASKING[words], "--data-dir", str(place))
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.endswith("; `exitflow doctor` finds out why\n")
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize("words", sorted(each for each in COMMANDS if not each.startswith("run ")))
def test_a_wrong_option_is_wrong_usage(exitflow: Exitflow, words: str) -> None:
    ended = exitflow(*words.split(), "--no-such-option")
    assert (ended.status, ended.out) == (2, "")
    assert f"Try 'exitflow {words} -h' for help." in ended.err


@pytest.mark.parametrize("words", sorted(COMMANDS))
def test_help_succeeds(exitflow: Exitflow, words: str) -> None:
    ended = exitflow(*words.split(), "--help")
    assert (ended.status, ended.err) == (0, "")
    assert f"$ exitflow {words}" in ended.out


@pytest.mark.parametrize("words", sorted(COMMANDS))
def test_help_loses_nothing_in_a_terminal_of_80_columns(
    exitflow: Exitflow, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = exitflow(*words.split(), "--help").out.splitlines()
    assert [line for line in shown if len(line) > 80 or re.search(r"…\s*│$", line)] == []


@pytest.mark.parametrize("words", sorted(each for each in ASKING if set(ASKING[each]) & set(FILES)))
def test_a_missing_file_is_named_once(exitflow: Exitflow, place: Path, words: str) -> None:
    (name,) = set(ASKING[words]) & set(FILES)
    (place / name).unlink()
    write_stack(place, "http://127.0.0.1:1")
    ended = exitflow(*ASKING[words], "--data-dir", str(place))
    assert (ended.status, ended.err) == (1, f"exitflow: {name} cannot be read: No such file or directory\n")
