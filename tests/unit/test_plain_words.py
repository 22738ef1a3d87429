"""Code, messages and documentation avoid the words of `plain_words.toml`."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.support.prose import code_prose

ROOT = Path(__file__).resolve().parents[2]
WORDS: dict[str, str] = tomllib.loads((Path(__file__).parent / "plain_words.toml").read_text())["words"]
MOST_RELATIVES = {"docs": 0.3, "code": 0.4}
"""How many of `RELATIVES` stand in 100 words of prose; lower it when the text gets plainer."""
RELATIVES = re.compile(r"\b(which|what|that|whose)\b", re.IGNORECASE)
CODE = ("services", "shared", "deploy", "bench", "tests")
FOLDERS = {"services": "*.py", "shared": "*.py", "deploy": "*.py", "bench": "*.py", "docs": "*.md"}


def texts() -> dict[str, list[str]]:
    """Return the lines of every checked file."""
    files = [path for folder, pattern in FOLDERS.items() for path in (ROOT / folder).rglob(pattern)]
    files += [ROOT / name for name in ("README.md", "CHANGELOG.md", "Makefile")]
    return {str(path.relative_to(ROOT)): path.read_text().splitlines() for path in files}


def found(word: str, lines: dict[str, list[str]]) -> list[str]:
    """Return each place of a word."""
    pattern = re.compile(word, re.IGNORECASE)
    return [f"{name}:{n}" for name, text in lines.items() for n, line in enumerate(text, 1) if pattern.search(line)]


def prose(page: str) -> str:
    """Return the text of a Markdown page without code, tables and the targets of links."""
    page = re.sub(r"^```.*?^```|^\s*\|.*?$", "", page, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`]*`|\]\([^)]*\)", " ", page)


def relatives_in_100_words(text: str) -> float:
    """Return how many of 100 words begin or could begin a relative clause."""
    return 100 * len(RELATIVES.findall(text)) / len(re.findall(r"[A-Za-z']+", text))


def test_text_uses_plain_words() -> None:
    lines = texts()
    places = {f"{word} (say: {plain})": found(word, lines) for word, plain in WORDS.items()}
    assert not {word: at for word, at in places.items() if at}


def test_documentation_has_few_relative_clauses() -> None:
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]
    assert relatives_in_100_words("\n".join(prose(page.read_text()) for page in pages)) <= MOST_RELATIVES["docs"]


def test_docstrings_and_comments_have_few_relative_clauses() -> None:
    files = [path for folder in CODE for path in (ROOT / folder).rglob("*.py")]
    assert relatives_in_100_words("\n".join(code_prose(file.read_text()) for file in files)) <= MOST_RELATIVES["code"]


def test_docstrings_and_comments_are_prose() -> None:
    code = 'def f():\n    """Return what `that` is.\n\n    Raises\n    ------\n    what:\n        Never.\n    """\n'
    code += "    x = 'which'  # noqa: E501  # that of y,\n    # on two lines.\n    # Both count.\n"
    assert " ".join(code_prose(code).split()) == "Return what X is. Never. that of y, on two lines. Both count."


def test_code_and_tables_have_no_relative_clauses() -> None:
    page = "A relay that was killed\n```\nwhat\n```\n| which | whose |\n`that` [it](what.md) ends"
    assert relatives_in_100_words(prose(page)) == pytest.approx(100 / 7)


@pytest.mark.parametrize("line", ["Start anew.", "Nobody reads it.", "a thread of its own.", "the courier"])
def test_avoided_words_are_found(line: str) -> None:
    assert any(found(word, {"page": [line]}) for word in WORDS)


@pytest.mark.parametrize("line", ["run as `nobody`", 'ACCOUNT = "nobody"', "the exits of its own trade", "again"])
def test_plain_words_pass(line: str) -> None:
    assert not any(found(word, {"page": [line]}) for word in WORDS)
