"""Names of tests are short enough for a line of a report."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
MOST_WORDS = 10


def names() -> Iterator[tuple[str, str]]:
    """Yield the file and the name of each test."""
    for file in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                yield str(file.relative_to(TESTS)), node.name


def test_names_of_tests_have_few_words() -> None:
    found = list(names())
    assert len(found) > 1000
    assert not [(file, name) for file, name in found if len(name.split("_")) - 1 > MOST_WORDS]
