"""PostgreSQL takes every statement of the runbooks."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest

from tests.support.servers import Database

DOCS = Path(__file__).resolve().parents[2] / "docs"
BLOCK = re.compile(r"^```sql\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STATEMENTS = [block for page in sorted(DOCS.rglob("*.md")) for block in BLOCK.findall(page.read_text())]


def test_there_are_statements() -> None:
    assert STATEMENTS


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_documented_statement_is_executed(database: Database, statement: str) -> None:
    with psycopg.connect(database.admin_url) as connection:
        connection.execute(statement.encode())
