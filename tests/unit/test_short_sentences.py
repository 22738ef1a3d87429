"""No sentence of the documentation or of a docstring is longer than a reader can hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.prose import code_prose

ROOT = Path(__file__).resolve().parents[2]
MOST_WORDS = 30
LEFT_OUT = ("decisions", "reference")
"""Records of their time, and pages written from the code."""
CODE = ("services", "shared", "deploy", "bench", "tests")


def pages() -> list[Path]:
    """Return the pages written and kept true by people."""
    docs = [page for page in (ROOT / "docs").rglob("*.md") if page.parent.name not in LEFT_OUT]
    return [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")), *docs]


def sentences(text: str) -> Iterator[str]:
    """Return the sentences of a page, without code, tables and headings; an item of a list begins one."""
    text = re.sub(r"```.*?```|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"^(\||#|    ).*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^\s*([-*]|\d+\.)\s", "\n\n", text, flags=re.MULTILINE)
    text = re.sub(r"`[^`]*`", "X", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    for paragraph in re.split(r"\n\s*\n", text):
        yield from re.split(r"(?<=[.!?:])\s+", " ".join(paragraph.split()))


def length(sentence: str) -> int:
    """Return the number of words; names in a list, with points between them, count as one."""
    return len(re.sub(r"X( · X)+", "X", sentence).split())


def too_long(text: str) -> list[str]:
    """Return the sentences beyond the limit."""
    return [sentence for sentence in sentences(text) if length(sentence) > MOST_WORDS]


def test_no_sentence_is_too_long() -> None:
    found = {str(page.relative_to(ROOT)): too_long(page.read_text()) for page in pages()}
    assert not {name: long for name, long in found.items() if long}


def test_no_sentence_of_a_docstring_or_comment_is_too_long() -> None:
    files = [file for folder in CODE for file in (ROOT / folder).rglob("*.py")]
    found = {str(file.relative_to(ROOT)): too_long(code_prose(file.read_text())) for file in files}
    assert not {name: long for name, long in found.items() if long}


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("word " * 31, 1),
        ("word " * 30, 0),
        ("word " * 20 + "end. " + "word " * 20, 0),
        ("- " + "word " * 20 + "\n- " + "word " * 20, 0),
        ("```\n" + "word " * 40 + "\n```", 0),
        ("`many words of code` " * 31, 1),
    ],
)
def test_long_sentences_are_found(text: str, count: int) -> None:
    assert len(too_long(text)) == count
