"""Commit of every transaction of a tick worker, with the failpoints around it."""

from __future__ import annotations

from shared.outbox.unit_of_work import UnitOfWork
from shared.postgres.hot_path import pipelined
from shared.runtime.failpoints import Failpoint, failpoint


def commit(uow: UnitOfWork) -> None:
    """Write the events and commit, with one wait for both."""
    with pipelined(uow.connection):
        uow.flush()
        failpoint(Failpoint.TICKS_BEFORE_COMMIT)
        uow.commit()
    failpoint(Failpoint.TICKS_AFTER_COMMIT)
