"""The documentation names existing files, numbers decisions once, and shows a working consumer."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
FILE = re.compile(r"`((?:tests|services|shared|deploy|docs|bench)/[\w./-]+\.\w+)`")
FENCE = re.compile(r"^ *(```.*)$", re.MULTILINE)
KNOWN_FENCE = re.compile(r'```(\w+( title="[^"]+")?)?')
CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    missing = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_site_knows_the_form_of_each_fence(page: Path) -> None:
    """It takes any other form for text, and the code for paragraphs."""
    assert [line for line in FENCE.findall(page.read_text()) if not KNOWN_FENCE.fullmatch(line)] == []


def test_no_page_of_the_site_needs_another_host() -> None:
    """The theme would load the renderer of mermaid from the internet; GitHub draws the README itself."""
    assert [page.name for page in DOCS.rglob("*.md") if "```mermaid" in page.read_text()] == []


def test_guarantees_name_tests_that_exist() -> None:
    named = FILE.findall((DOCS / "guarantees.md").read_text())
    assert len(named) >= 15
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_decisions_have_one_number_each_and_stand_in_the_index() -> None:
    files = sorted(file.name for file in (DOCS / "decisions").glob("0*.md"))
    assert {number: n for number, n in Counter(name[:4] for name in files).items() if n > 1} == {}
    index = (DOCS / "decisions" / "README.md").read_text()
    assert [name for name in files if f"({name})" not in index] == []
    for name in files:
        heading = (DOCS / "decisions" / name).read_text().split("\n", 1)[0]
        assert heading.startswith(f"# {int(name[:4])}. "), name


@pytest.mark.parametrize(("schema", "column"), [("exit_qualification", 1), ("trade_management", 2)])
def test_the_page_of_data_lists_every_migration(schema: str, column: int) -> None:
    rows = [line.split("|") for line in (DOCS / "architecture" / "data.md").read_text().splitlines() if "`V" in line]
    listed = [row[column].strip(" `") for row in rows if len(row) > column]
    made = {file.name.split("_")[0] for file in (ROOT / "alembic" / schema).glob("V*.py")}
    assert made - set(listed) == set()


def test_a_changed_decision_names_the_change() -> None:
    texts = {file.name: file.read_text() for file in (DOCS / "decisions").glob("0*.md")}
    changes = re.compile(r"^(?:Changes|Replaces|Widens|Adds to) \[decision \d+\]\(([^)]+)\)", re.MULTILINE)
    found = [(name, earlier) for name, text in texts.items() for earlier in changes.findall(text)]
    assert len(found) >= 4
    assert [(name, earlier) for name, earlier in found if f"({name})" not in texts[earlier]] == []


def test_each_list_of_decisions_is_in_order() -> None:
    for section in (DOCS / "decisions" / "README.md").read_text().split("\n## "):
        numbers = [int(number) for number in re.findall(r"^- \[(\d+)\.", section, re.MULTILINE)]
        assert numbers == sorted(numbers)


@pytest.fixture
def consumer_module() -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(CODE.findall((DOCS / "how-to" / "consume-events.md").read_text())[0], names)
    return names


@pytest.fixture
def applied() -> list[tuple[str, Any]]:
    return []


@pytest.fixture
def take(consumer_module: dict[str, Any], applied: list[tuple[str, Any]]) -> Callable[..., bool]:
    def verify(topic: str, key: bytes, headers: dict[str, bytes], value: bytes) -> None:
        if headers["ce_signature"] != b"true":
            raise ValueError("forged")

    consumer = consumer_module["Consumer"](
        sqlite3.connect(":memory:"), verify, lambda _, kind, event: applied.append((kind, event))
    )

    def take_one(event_id: str, sequence: int, kind: str = "io.exitflow.TradeOpened.v1", signed: str = "true") -> bool:
        headers = {"ce_id": event_id, "ce_sequence": str(sequence), "ce_type": kind, "ce_signature": signed}
        encoded = {name: text.encode() for name, text in headers.items()}
        done: bool = consumer.take("trades.v1", b"trade", encoded, json.dumps({"n": sequence}).encode())
        return done

    return take_one


def test_the_consumer_applies_a_repeated_event_once(take: Callable[..., bool], applied: list[Any]) -> None:
    assert [take("a", 1), take("b", 2), take("a", 1), take("c", 3)] == [True, True, False, True]
    assert [event["n"] for _, event in applied] == [1, 2, 3]


def test_the_consumer_stops_at_a_gap_until_the_event_arrives(
    take: Callable[..., bool], applied: list[Any], consumer_module: dict[str, Any]
) -> None:
    take("a", 1)
    with pytest.raises(consumer_module["GapFound"], match="1 is followed by 3"):
        take("c", 3)
    assert [take("b", 2), take("c", 3)] == [True, True]
    assert len(applied) == 3


def test_the_consumer_counts_a_discarded_event_and_ignores_its_original(
    take: Callable[..., bool], applied: list[Any]
) -> None:
    assert not take("a", 1, kind="io.exitflow.Discarded.v1")
    assert not take("a", 1)
    assert take("b", 2)
    assert len(applied) == 1


def test_the_consumer_does_not_remember_a_forged_event(take: Callable[..., bool]) -> None:
    with pytest.raises(ValueError, match="forged"):
        take("a", 1, signed="no")
    assert take("a", 1)
