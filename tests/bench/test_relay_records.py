"""Events of the bench of relays are the same in Python and in SQL, and signed in the form of production."""

from __future__ import annotations

import psycopg
import pytest

from bench.relay import records
from shared.outbox.hash_tree import HashTree
from shared.outbox.signature_text import SignatureText
from tests.support.servers import Database

LAST = 40


def test_python_and_sql_make_the_same_events(empty_database: Database) -> None:
    columns = f"{records.KEY_SQL}, {records.PAYLOAD_SQL}, {records.SIGNATURE_SQL}"
    with psycopg.connect(empty_database.admin_url) as connection:
        found = connection.execute(
            f"SELECT {columns} FROM {records.RANGE_SQL} ORDER BY n",
            {"first": 0, "last": LAST},
        ).fetchall()
    made = [(records.key_of(n), records.payload_of(n), records.signature_of(n)) for n in range(LAST + 1)]
    assert found == made


@pytest.mark.parametrize("number", [0, 7, records.GROUP - 1])
def test_a_group_of_the_bench_is_like_the_outbox(number: int) -> None:
    made = SignatureText.parse(records.signature_of(number))
    tree = HashTree([b"%d" % n for n in range(records.GROUP)])
    assert (made.place, len(made.path)) == (number, len(tree.path(number)))
    first, other = (SignatureText.parse(records.signature_of(n)) for n in (number, number ^ 1))
    assert first.signature == other.signature
    assert first.path[32:] == other.path[32:]
    assert SignatureText.parse(records.lone_signature_of(number)).path == b""
