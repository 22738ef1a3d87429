"""A pipeline of psycopg with few system calls, which ends without a wait once everything is answered.

Its statements go to libpq without a cursor of psycopg, which takes two to three times their CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from psycopg import Pipeline
from psycopg._preparing import Prepare
from psycopg.abc import PQGen, Transformer
from psycopg.adapt import PyFormat
from psycopg.errors import PipelineAborted, error_from_result
from psycopg.generators import send
from psycopg.pq import ExecStatus, TransactionStatus

if TYPE_CHECKING:
    from psycopg._pipeline_base import PendingResult
    from psycopg._queries import PostgresQuery
    from psycopg.pq.abc import PGresult


class _Query(NamedTuple):
    """What psycopg's registry of prepared statements asks about a query."""

    query: bytes
    types: tuple[int, ...]


class Reply:
    """The answer to a statement of a pipeline.

    Attributes
    ----------
    pgresult:
        The server's answer; None until it is read.
    """

    __slots__ = ("_transformer", "pgresult")

    def __init__(self, transformer: Transformer) -> None:
        self._transformer = transformer
        self.pgresult: PGresult | None = None

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return the rows of an answer with rows."""
        assert self.pgresult is not None
        self._transformer.set_pgresult(self.pgresult)
        return self._transformer.load_rows(0, self.pgresult.ntuples, tuple)


class SettledPipeline(Pipeline):
    """Pipeline of statements.

    psycopg polls the socket twice for each statement, and reads answers before anybody needs them. Here a statement is
    only written to the socket; the answers are read with the first one needed.

    psycopg waits once more at the end, even right after the answer to a commit or to a question within the pipeline.
    """

    _is_settled = False

    def send_statement(self, query: bytes, values: Sequence[Any], transformer: Transformer) -> Reply:
        """Send a statement with its parameters as ``$1``, ``$2``, …; begin a transaction if none has begun.

        Raises
        ------
        psycopg.Error
            A value cannot be sent, or the connection is broken.
        """
        with self._lock:
            self._begin()
            self._run_commands()
            parameters = transformer.dump_sequence(values, [PyFormat.AUTO] * len(values))
            reply = Reply(transformer)
            self._dispatch(_Query(query, transformer.types or ()), parameters, transformer.formats, reply)
            self._is_settled = False
            self.pgconn.flush()  # what the socket does not take now goes with the next statement
            prepared = self._conn._prepared
            if prepared._to_flush:
                self._conn.wait(prepared.maintain_gen(self._conn))
            return reply

    def _begin(self) -> None:
        connection = self._conn
        connection._check_connection_ok()
        if not connection.autocommit and self.pgconn.transaction_status == TransactionStatus.IDLE:
            connection.wait(connection._start_query())

    def _dispatch(self, query: _Query, parameters: Sequence[Any], formats: Any, reply: Reply) -> None:
        """Send it by its name if it is prepared, as psycopg's cursor does."""
        registry, known = self._conn._prepared, cast("PostgresQuery", query)
        prepare, name = registry.get(known)
        if not name:
            self.pgconn.send_query_params(query.query, parameters, query.types, formats)
        else:
            if prepare is Prepare.SHOULD:
                self.pgconn.send_prepare(name, query.query, param_types=query.types)
                self.result_queue.append(None)
            self.pgconn.send_query_prepared(name, parameters, formats)
        key = registry.maybe_add_to_cache(known, prepare, name)
        if prepare is Prepare.SHOULD:
            key = registry.key(known)  # psycopg would remember a name whose preparing failed
        self.result_queue.append(cast("PendingResult", (reply, None if key is None else (key, prepare, name))))

    def _process_results(self, queued: PendingResult, results: list[PGresult]) -> None:
        if queued is None or not isinstance(queued[0], Reply):
            super()._process_results(queued, results)
            return
        reply, in_registry = queued
        if in_registry is not None:
            self._conn._prepared.validate(*in_registry, results)
        (result,) = results
        if result.status == ExecStatus.FATAL_ERROR:
            raise error_from_result(result, encoding=self.pgconn._encoding)
        if result.status == ExecStatus.PIPELINE_ABORTED:
            raise PipelineAborted("pipeline aborted")
        reply.pgresult = result

    def _communicate_gen(self) -> PQGen[None]:
        self._is_settled = False
        self._run_commands()
        self.pgconn.flush()  # what the socket does not take now goes with the next statement
        yield from ()

    def _run_commands(self) -> None:
        while self.command_queue:
            self.command_queue.popleft()()

    def _sync_gen(self) -> PQGen[None]:
        self._enqueue_sync()
        yield from self._communicate_gen()
        yield from send(self.pgconn)
        yield from self._fetch_gen(flush=False)
        self._is_settled = True

    def _exit_gen(self) -> PQGen[None]:
        if not self._is_settled or self.command_queue or self.result_queue:
            yield from super()._exit_gen()
