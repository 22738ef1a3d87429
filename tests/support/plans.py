"""PostgreSQL's plan of a statement without known parameters: the plan of a prepared one, used for ever."""

from __future__ import annotations

import re
from itertools import count
from typing import Any

import psycopg
from sqlalchemy import TextClause

_NAMED = re.compile(r"%\((\w+)\)s|(?<!:):([a-z]\w*)")


def generic_plan(connection: psycopg.Connection[Any], statement: str | TextClause) -> str:
    """The generic plan, a step a line."""
    query = numbered(statement if isinstance(statement, str) else statement.text)
    with psycopg.RawCursor(connection) as cursor:
        return "\n".join(row[0] for row in cursor.execute(f"EXPLAIN (GENERIC_PLAN) {query}".encode(), prepare=False))


def numbered(statement: str) -> str:
    """Named parameters as $1, $2, …, the same number for the same name; comments left out."""
    without_comments = re.sub(r"--.*", "", statement)
    numbers: dict[str, int] = {}
    following = count(1)

    def number(found: re.Match[str]) -> str:
        name = found.group(1) or found.group(2)
        if name not in numbers:
            numbers[name] = next(following)
        return f"${numbers[name]}"

    return _NAMED.sub(number, without_comments)


def whole_table_scans(plan: str) -> set[str]:
    """The tables read from end to end by the plan."""
    return set(re.findall(r"Seq Scan on (\w+)", plan))
