"""Faults of single records: set the record aside with a reason and continue with the others.

Every consumer reads records through `read_record` and calls `fault_of` for a record it failed to apply. All other
errors are failures of a dependency, to be retried or handled by an operator; they are no reason to lose a record.
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

UNFORESEEN = counter("records_unforeseen_failures", "records with an unexpected error", "error")


class UnreadableRecord(MalformedMessage):
    """An unforeseen error while reading the record."""

    code = UNREADABLE


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a record is set apart."""

    code: str
    reason: str


def read_record(read: Callable[Arguments, Read], *arguments: Arguments.args, **named: Arguments.kwargs) -> Read:
    """Read a record with `read`; turn an unforeseen error into `UnreadableRecord`.

    Raises
    ------
    MalformedMessage
        It cannot be read: by the reader's own error, or by an unforeseen one.
    """
    try:
        return read(*arguments, **named)
    except MalformedMessage:
        raise
    except Exception as error:  # any error of a reader is its record's fault
        _count(error, "read")
        raise UnreadableRecord(f"{type(error).__name__} while it was read") from error


def fault_of(error: Exception) -> Fault | None:
    """Return the record's fault as text; None if the failure has another cause.

    Values rejected by the database, broken rules and unforeseen errors (an overflow, say) are faults of the record. An
    unreachable dependency, a lock, a configuration error or an unknown SQL statement is not.
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
