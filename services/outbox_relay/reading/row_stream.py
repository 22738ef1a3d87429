"""The rows of one prepared statement as the server makes them, a chunk at a time, without ever waiting for them.

psycopg's own ``Cursor.stream`` reads in chunks too but waits for each. The first chunk takes as long as the sort of a
large backlog. So this module uses ``psycopg.pq``, the library's documented wrapper of libpq.
"""

from __future__ import annotations

import select
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import errors, pq
from psycopg.adapt import Transformer

from services.outbox_relay.database.connection import Connection


class RowStream:
    """One statement, executed again and again, one execution at a time. Its connection serves nothing meanwhile.

    The server makes rows ahead only as far as the socket's buffers take them.

    Parameters
    ----------
    name:
        The prepared statement's; each stream of a connection has its own.
    """

    def __init__(self, connection: Connection, statement: str, rows_per_chunk: int, name: str = "rows") -> None:
        self._name = name.encode()
        self._connection = connection
        self._pgconn = connection.pgconn
        self._rows_per_chunk = rows_per_chunk
        self._transformer = Transformer(connection)
        connection.execute(f"PREPARE {name} AS {statement}".encode())
        self.is_open = False

    def start(self, *parameters: str) -> None:
        """Execute the statement; its parameters as PostgreSQL writes them."""
        self._pgconn.send_query_prepared(self._name, [p.encode() for p in parameters], result_format=pq.Format.BINARY)
        self._pgconn.set_chunked_rows_mode(self._rows_per_chunk)
        while self._pgconn.flush():
            select.select([], [self._pgconn.socket], [])
        self.is_open = True

    def take(self, wait_s: float) -> Sequence[tuple[Any, ...]]:
        """Return the next rows; empty after `wait_s` seconds without rows, or at the end: see `is_open`.

        Raises
        ------
        psycopg.Error
            The statement failed, or the connection.
        """
        while self._pgconn.is_busy():
            if not select.select([self._pgconn.socket], [], [], wait_s)[0]:
                return ()
            self._pgconn.consume_input()
        rows = self._chunk()
        if len(rows) < self._rows_per_chunk:
            self._end()
        return rows

    def _chunk(self) -> Sequence[tuple[Any, ...]]:
        result = self._pgconn.get_result()
        assert result is not None, "the first chunk not full is the end"
        _check(result)
        self._transformer.set_pgresult(result)
        rows: Sequence[tuple[Any, ...]] = self._transformer.load_rows(0, result.ntuples, tuple)
        return rows

    def _end(self) -> None:
        while (result := self._pgconn.get_result()) is not None:
            _check(result)
        self.is_open = False


def array(values: Sequence[object]) -> str:
    """Format an array literal for PostgreSQL, of values without quotes or backslashes."""
    return "{" + ",".join(f'"{value}"' for value in values) + "}"


def _check(result: pq.abc.PGresult) -> None:
    if result.status in (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE):
        state = result.error_field(pq.DiagnosticField.SQLSTATE)
        kind = errors.lookup(state.decode()) if state else psycopg.OperationalError
        raise kind(result.error_message.decode(errors="replace"))
