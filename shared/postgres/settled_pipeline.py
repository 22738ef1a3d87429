"""A pipeline of psycopg with few system calls, which ends without a wait once everything is answered."""

from __future__ import annotations

from psycopg import Pipeline
from psycopg.abc import PQGen
from psycopg.generators import send


class SettledPipeline(Pipeline):
    """Pipeline of statements.

    psycopg polls the socket twice for each statement, and reads answers before anybody needs them. Here a statement is
    only written to the socket; the answers are read with the first one needed.

    psycopg waits once more at the end, even right after the answer to a commit or to a question within the pipeline.
    """

    _is_settled = False

    def _communicate_gen(self) -> PQGen[None]:
        self._is_settled = False
        while self.command_queue:
            self.command_queue.popleft()()
        self.pgconn.flush()  # what the socket does not take now goes with the next statement
        yield from ()

    def _sync_gen(self) -> PQGen[None]:
        self._enqueue_sync()
        yield from self._communicate_gen()
        yield from send(self.pgconn)
        yield from self._fetch_gen(flush=False)
        self._is_settled = True

    def _exit_gen(self) -> PQGen[None]:
        if not self._is_settled or self.command_queue or self.result_queue:
            yield from super()._exit_gen()
