"""A pipeline of psycopg that ends without a wait once everything is answered."""

from __future__ import annotations

from psycopg import Pipeline
from psycopg.abc import PQGen


class SettledPipeline(Pipeline):
    """Pipeline of statements.

    psycopg waits once more at the end, even right after the answer to a commit or to a question within the pipeline.
    """

    _is_settled = False

    def _communicate_gen(self) -> PQGen[None]:
        self._is_settled = False
        yield from super()._communicate_gen()

    def _sync_gen(self) -> PQGen[None]:
        yield from super()._sync_gen()
        self._is_settled = True

    def _exit_gen(self) -> PQGen[None]:
        if not self._is_settled or self.command_queue or self.result_queue:
            yield from super()._exit_gen()
