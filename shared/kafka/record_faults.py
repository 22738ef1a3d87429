"""Faults of one record: it is set apart with a reason, and its neighbours go on.

Every consumer reads records through `read_record` and asks `fault_of` what it may blame on a record that it failed to
apply. What is left is a dependency's failure, which passes or needs somebody, and is no reason to lose a record.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from confluent_kafka import KafkaException
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

from shared.errors import ConfigurationError, Conflict, ExitflowError, Fenced, MalformedMessage
from shared.runtime.telemetry import counter

log = logging.getLogger(__name__)

Arguments = ParamSpec("Arguments")
Read = TypeVar("Read")

UNREADABLE = "unreadable"
REFUSED_BY_DATABASE = "refused_by_database"

UNFORESEEN = counter("records_unforeseen_failures", "records that raised an error that was not foreseen", "error")


class UnreadableRecord(MalformedMessage):
    """Reading the record raised an error that was not foreseen."""

    code = UNREADABLE


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a record is set apart."""

    code: str
    reason: str


def read_record(read: Callable[Arguments, Read], *arguments: Arguments.args, **named: Arguments.kwargs) -> Read:
    """Return what a record says.

    Raises
    ------
    MalformedMessage
        It cannot be read: as the reader says, or because of an error that nothing foresaw.
    """
    try:
        return read(*arguments, **named)
    except MalformedMessage:
        raise
    except Exception as error:  # whatever a record does to its reader is that record's fault
        _count(error, "read")
        raise UnreadableRecord(f"{type(error).__name__} while it was read") from error


def fault_of(error: Exception) -> Fault | None:
    """Return what is wrong with the one record whose application raised; None if the record is not to blame.

    A value that the database refuses, a rule that the record breaks and an error that nothing foresaw (an overflow,
    say) are the record's. A dependency that is away, a lock, a configuration and a statement that the database does
    not understand are not.
    """
    if isinstance(error, DataError | IntegrityError | Conflict):
        # The server's own words, without the statement and its parameters.
        return Fault(REFUSED_BY_DATABASE, str(error.orig if isinstance(error, DBAPIError) else error))
    if isinstance(error, ExitflowError):
        blameless = error.retryable or isinstance(error, ConfigurationError | Fenced)
        return None if blameless else Fault(error.code, str(error))
    if isinstance(error, SQLAlchemyError | DBAPIError | KafkaException | OSError | MemoryError):
        return None
    _count(error, "applied")
    return Fault(UNREADABLE, f"{type(error).__name__} while it was applied")


def _count(error: Exception, when: str) -> None:
    UNFORESEEN.labels(type(error).__name__).inc()
    log.error("a record raised %s while it was %s", type(error).__name__, when, exc_info=error)
