"""Statements of hot paths: the transaction and the errors of SQLAlchemy, at the cost of the driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from services.trade_management.domain.charges import Side
from shared.postgres.connection_limits import ConnectionLimits
from shared.postgres.engine import open_engine
from shared.postgres.hot_path import fetch, pipelined, send, stream
from shared.postgres.row_locks import is_lock_timeout, limit_lock_waits
from tests.support.servers import Database
from tests.support.statements import sent_statements, waits

ADD = text(
    "INSERT INTO tick_symbols (symbol, partition, last_price, last_ts, last_seq) VALUES (:symbol, 0, 1, now(), 1)"
)
COUNT = text("SELECT count(*) FROM tick_symbols")
NUMBERS = text("SELECT n % 4, n FROM unnest(CAST(:numbers AS bigint[])) AS n")
ECHO = {
    kind: text(f"SELECT CAST(:values AS {kind}[])")  # types
    for kind in ("text", "bytea", "uuid", "bigint", "boolean", "numeric", "timestamptz")
}
UP_TO = text("SELECT n FROM generate_series(1, :most) AS n")
SLOW = text("SELECT n, pg_sleep(0.5) FROM generate_series(1, 5) AS n")
BROKEN = text("SELECT 7 / (8 - n) FROM generate_series(1, 10) AS n")
END_SESSION = text("SELECT pg_terminate_backend(pg_backend_pid())")
HOLD = text("LOCK TABLE tick_symbols IN ACCESS EXCLUSIVE MODE")


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    engine = open_engine(database.exit_url, "exit_qualification", application="test")
    yield engine
    engine.dispose()


def test_rows_are_tuples_and_other_statements_give_none(engine: Engine) -> None:
    with engine.connect() as connection:
        assert fetch(connection, NUMBERS, {"numbers": [-1, 2**62]}) == [(-1, -1), (0, 2**62)]
        assert fetch(connection, ADD, {"symbol": "NSE:A"}) == []


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (
            "text",
            [
                "",
                "NULL",
                "null",
                'a "quoted" one',
                "{a,b}",
                "back\\slash",
                "\\x00",
                " spaces ",
                "line\nbreak",
                "₹",
                "%s",
            ],
        ),
        ("text", [None, "with null"]),
        ("bytea", [b"", b"\x00\xff\\", '{"a":"₹"}'.encode()]),
        ("uuid", [UUID(int=0), UUID(int=2**128 - 1)]),
        ("bigint", [0, -(2**63), 2**63 - 1]),
        ("boolean", [True, None, False]),
        ("numeric", [Decimal("-0.0001"), None, Decimal("12345678901234.5678"), Decimal("1E+3")]),
        ("timestamptz", [datetime(2026, 1, 13, 9, 15, 0, 123456, tzinfo=UTC), None]),
        ("text", [Side.BUY, None]),
        ("text", []),
    ],
)
def test_a_list_arrives_as_it_is(engine: Engine, kind: str, values: list[object]) -> None:
    with engine.connect() as connection:
        assert fetch(connection, ECHO[kind], {"values": values}) == [(values,)]


def test_nothing_stays_unless_the_transaction_is_committed(engine: Engine) -> None:
    for commits in (False, True):
        with engine.connect() as connection:
            fetch(connection, ADD, {"symbol": "NSE:A"})
            if commits:
                connection.commit()
        with engine.connect() as connection:
            assert fetch(connection, COUNT, {}) == [(commits,)]


def test_hot_path_errors_match_other_statements_without_parameters(engine: Engine) -> None:
    with engine.connect() as connection:
        fetch(connection, ADD, {"symbol": "NSE:A"})
        with pytest.raises(IntegrityError) as refused:
            fetch(connection, ADD, {"symbol": "NSE:A"})
        assert "'symbol':" not in str(refused.value)


def test_a_lock_time_out_is_recognized(engine: Engine, database: Database) -> None:
    admin = open_engine(database.migrator_url, "exit_qualification", application="test")
    with admin.connect() as holder, engine.connect() as connection:
        holder.execute(HOLD)
        limit_lock_waits(connection, 1)
        with pytest.raises(OperationalError) as refused:
            fetch(connection, COUNT, {})
        assert is_lock_timeout(refused.value)
    admin.dispose()


def test_statements_of_a_pipeline_give_their_rows_at_any_time(engine: Engine) -> None:
    with engine.connect() as connection:
        with pipelined(connection):
            send(connection, ADD, {"symbol": "NSE:A"})
            counted = send(connection, COUNT, {})
            assert fetch(connection, NUMBERS, {"numbers": [7]}) == [(3, 7)]
            send(connection, ADD, {"symbol": "NSE:B"})
            last = send(connection, COUNT, {})
            assert counted.rows() == [(1,)]
        assert last.rows() == [(2,)]
        assert fetch(connection, COUNT, {}) == [(2,)]
    with engine.connect() as connection:
        assert fetch(connection, COUNT, {}) == [(0,)]  # it was never committed


def test_a_pipeline_begins_its_transaction_without_a_wait(engine: Engine) -> None:
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        with pipelined(connection):
            for symbol in ("NSE:A", "NSE:B"):
                send(connection, ADD, {"symbol": symbol})
            within = driver.info.transaction_status
        behind = driver.info.transaction_status
    assert (within, behind) == (TransactionStatus.ACTIVE, TransactionStatus.INTRANS), "nothing was waited for within"
    assert stored(engine) == 0


def test_a_pipeline_ends_transactions_it_has_not_waited_for(engine: Engine) -> None:
    with engine.connect() as connection, pipelined(connection):
        send(connection, ADD, {"symbol": "NSE:A"})
        connection.commit()
        send(connection, ADD, {"symbol": "NSE:B"})
        connection.rollback()
        send(connection, ADD, {"symbol": "NSE:C"})
        connection.commit()
    assert stored(engine) == 2


def test_a_pipeline_waits_at_its_end_for_unanswered_statements_alone(engine: Engine) -> None:
    with engine.connect() as connection:
        for is_asked_behind, expected in ((False, 1), (True, 2)):
            with waits() as waited, pipelined(connection):
                assert fetch(connection, NUMBERS, {"numbers": [7]}) == [(3, 7)]
                if is_asked_behind:
                    send(connection, COUNT, {})
            assert len(waited) == expected, waited


def test_a_pipeline_tells_an_error_behind_its_last_answer(engine: Engine) -> None:
    with engine.connect() as connection:
        with pytest.raises(DBAPIError, match="division by zero"), pipelined(connection):
            fetch(connection, COUNT, {})
            send(connection, BROKEN, {})
        connection.rollback()
        assert fetch(connection, COUNT, {}) == [(0,)]


def test_a_failure_before_a_commit_leaves_no_transaction(database: Database) -> None:
    engine = open_engine(database.exit_url, "exit_qualification", application="test", pool_size=1)
    with engine.connect() as connection, pytest.raises(DBAPIError, match="division by zero"), pipelined(connection):
        send(connection, ADD, {"symbol": "NSE:A"})
        send(connection, BROKEN, {})
        connection.commit()
    assert stored(engine) == 0
    with engine.connect() as connection:
        fetch(connection, ADD, {"symbol": "NSE:A"})
        connection.commit()
    assert stored(engine) == 1
    engine.dispose()


def stored(engine: Engine) -> int:
    """The number of rows, as another transaction sees it."""
    with engine.connect() as connection:
        ((count,),) = fetch(connection, COUNT, {})
    return int(count)


@pytest.mark.parametrize("asks", [True, False])
def test_the_first_error_of_a_pipeline_is_told(engine: Engine, database: Database, asks: bool) -> None:
    admin = open_engine(database.migrator_url, "exit_qualification", application="test")
    with admin.connect() as holder, engine.connect() as connection:
        holder.execute(HOLD)
        limit_lock_waits(connection, 1)
        with pytest.raises(OperationalError) as refused, pipelined(connection):
            counted = send(connection, COUNT, {})
            later = send(connection, NUMBERS, {"numbers": [1]})
            if asks:
                later.rows()
        assert is_lock_timeout(refused.value)
        with pytest.raises(OperationalError):
            counted.rows()
        connection.rollback()
        assert fetch(connection, NUMBERS, {"numbers": [1]}) == [(1, 1)]
    admin.dispose()


@pytest.mark.parametrize("within", [nullcontext, pipelined])
def test_a_broken_connection_is_told_as_such(
    engine: Engine, within: Callable[[Connection], AbstractContextManager[None]]
) -> None:
    with engine.connect() as connection:
        with pytest.raises(DBAPIError) as refused, within(connection):
            fetch(connection, END_SESSION, {})
        assert refused.value.connection_invalidated
    with engine.connect() as connection:
        assert fetch(connection, COUNT, {}) == [(0,)]


@pytest.mark.parametrize("rows", [0, 1, 9, 10, 11, 35])
def test_a_stream_gives_every_row_once_and_in_order(engine: Engine, rows: int) -> None:
    with engine.connect() as connection:
        for _ in range(2):
            assert list(stream(connection, UP_TO, {"most": rows}, 10)) == [(n,) for n in range(1, rows + 1)]
        assert fetch(connection, COUNT, {}) == [(0,)]


def test_a_stream_asks_for_so_many_rows_at_a_time(engine: Engine) -> None:
    with engine.connect() as connection, sent_statements() as statements:
        rows = stream(connection, UP_TO, {"most": 1_000_000}, 10)
        assert [next(rows) for _ in range(11)][-1] == (11,)
        rows.close()
        assert len([each for each in statements if each.startswith("FETCH FORWARD 10 ")]) == 3, statements
        connection.rollback()
        assert fetch(connection, COUNT, {}) == [(0,)]


def test_a_stream_may_take_longer_than_a_statement(database: Database) -> None:
    limits = ConnectionLimits(statement_ms=2_000)
    engine = open_engine(database.exit_url, "exit_qualification", application="test", limits=limits)
    with engine.connect() as connection:
        assert [n for n, _ in stream(connection, SLOW, {}, 1)] == [1, 2, 3, 4, 5]
    engine.dispose()


def test_an_error_in_the_middle_of_a_stream_is_told(engine: Engine) -> None:
    with engine.connect() as connection:
        read: list[tuple[int]] = []
        with pytest.raises(DBAPIError, match="division by zero"):
            read.extend(stream(connection, BROKEN, {}, 3))
        # The error of the third part can arrive before the second part was given.
        assert read in ([(1,), (1,), (1,)], [(1,), (1,), (1,), (1,), (2,), (3,)])
        connection.rollback()
        assert fetch(connection, COUNT, {}) == [(0,)]
