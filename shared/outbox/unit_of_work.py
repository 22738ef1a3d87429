"""Unit of work: one transaction, rows first and events last, rolled back unless committed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, Engine

from shared.contracts.events import Event
from shared.outbox import after_commit
from shared.outbox.after_commit import Emitted
from shared.outbox.numbers import Numbers, Order, order_of
from shared.outbox.writing import Outbox
from shared.postgres.hot_path import Answer, pipelined, send_commit

T = TypeVar("T")


class UnitOfWork:
    """A transaction, rolled back unless `commit` is called.

    `commit` writes the emitted events to the outbox after every other row: outbox ids must follow the order in
    which their rows were locked. Foreseen events may be written before new rows. After the commit it calls the
    observers of these events (`shared.outbox.after_commit`), so a counter never counts lost events.
    """

    connection: Connection

    def __init__(self, engine: Engine, outbox: Outbox, traceparent: str | None = None) -> None:
        self._engine = engine
        self._outbox = outbox
        self._traceparent = traceparent
        self._emitted: list[Emitted] = []
        self._written: list[Emitted] = []
        self._numbers: Numbers | None = None
        self._tracer = after_commit.tracer()
        self._began_ns = 0

    def __enter__(self) -> Self:
        self.connection = self._engine.connect()
        self._emitted = []
        self._written = []
        self._numbers = None
        if self._tracer is not None:
            self._began_ns = self._tracer.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()

    def emit(self, *events: Event, traceparent: str | None = None) -> None:
        """Publish these events if, and only if, this unit of work commits.

        Their trace is their own, else `traceparent`, else the unit of work's, else a new one.
        """
        cause = traceparent or self._traceparent
        self._emitted += (Emitted(event, event.own_traceparent or cause, cause) for event in events)

    def foresee(self, orders: Sequence[Order]) -> None:
        """Ask for the numbers of events not made yet, so their answer comes with those to the rows around them.

        Call it within a pipeline, once all existing rows are locked, with topic and key of each event at most to be
        emitted from now on. New rows may follow. An event that was not foreseen fails the transaction.

        Raises
        ------
        ValueError
            It was called before: the numbers of the first call would be missing.
        """
        if self._numbers is not None:
            raise ValueError("the events of this unit of work are foreseen already")
        emitted = [order_of(each.event) for each in self._emitted]
        self._numbers = self._outbox.ask_numbers(self.connection, [*emitted, *orders])

    def write_foreseen(self) -> None:
        """Write the events emitted so far, all of them foreseen: the server has work while more are made."""
        assert self._numbers is not None
        self._append(self._numbers)

    def flush(self) -> None:
        """Write the emitted events now; after this no other row may be written."""
        numbers, self._numbers = self._numbers, None
        self._append(numbers)
        if numbers is not None:
            numbers.give_back()

    def commit(self, last: Callable[[], Answer[Any]] | None = None) -> None:
        """Write the emitted events, commit, then call the events' observers.

        Parameters
        ----------
        last:
            Sends a statement to go with those of the events; an error in its answer prevents the commit.
        """
        if self._emitted:
            with pipelined(self.connection):
                self._write_and_commit(last)
        else:
            self._write_and_commit(last)
        self._tell()

    def commit_then(self, ask: Callable[[], Answer[T]]) -> T:
        """Commit as `commit` does; return the answer to a statement sent right behind the commit.

        Both are waited for once. The statement sees the committed rows and is no part of the transaction. Call it
        within a pipeline.

        Raises
        ------
        sqlalchemy.exc.DBAPIError
            The commit failed, and the statement was not executed; or the statement alone failed, and no observer
            was called.
        """
        self.flush()
        send_commit(self.connection)
        answer = ask().get()
        self._tell()
        return answer

    def _append(self, numbers: Numbers | None) -> None:
        emitted, self._emitted = self._emitted, []
        events, traceparents = [each.event for each in emitted], [each.traceparent for each in emitted]
        self._outbox.append(self.connection, events, traceparents, numbers)
        self._written += emitted

    def _write_and_commit(self, last: Callable[[], Answer[Any]] | None) -> None:
        answer = None if last is None else last()
        self.flush()
        if answer is not None:
            answer.get()
        # In a pipeline it is sent with the events. Their numbers were waited for, so the driver knows the transaction.
        self.connection.commit()

    def _tell(self) -> None:
        committed, self._written = self._written, []
        after_commit.notify(each.event for each in committed)
        if self._tracer is not None:
            self._tracer.committed(committed, self._began_ns)
