"""Log lines about an exit carry the id of its trace."""

from __future__ import annotations

import ast
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

import services.exit_qualification
import services.trade_management
from shared.ids import exit_traceparent, new_id
from shared.runtime.telemetry import configure_logging
from shared.runtime.trace import in_trace
from shared.settings import Settings

SERVICES = (services.exit_qualification, services.trade_management)
ABOUT_AN_EXIT = ("intent %s", "trade %s closed")


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def test_a_json_line_shows_the_trace_of_its_exit(capsys: pytest.CaptureFixture[str]) -> None:
    signal_id = new_id()
    configure_logging(Settings(log_format="json"))
    logging.getLogger("orders").error("it failed", extra=in_trace(exit_traceparent(signal_id)))
    logging.getLogger("orders").error("another", extra=in_trace(None))
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert (first["message"], first["trace_id"]) == ("it failed", signal_id.hex)
    assert "trace_id" not in second


def log_calls() -> Iterator[tuple[Path, ast.Call]]:
    for service in SERVICES:
        for file in Path(service.__path__[0]).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    owner = node.func.value
                    if isinstance(owner, ast.Name) and owner.id == "log" and node.args:
                        yield file, node


def test_every_line_about_an_exit_names_its_trace() -> None:
    about = [
        (file.name, call.lineno, any(word.arg == "extra" for word in call.keywords))
        for file, call in log_calls()
        if any(words in ast.unparse(call.args[0]) for words in ABOUT_AN_EXIT)
    ]
    assert len(about) >= 8
    assert [(name, line) for name, line, has_trace in about if not has_trace] == []
