"""Transaction-mode connection poolers: how to detect and report one, and what not to use through one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from sqlalchemy import Connection, Engine

from shared.errors import ConfigurationError

_SETTINGS: Final = "settings_of_each_transaction"

_REFUSAL = "unsupported startup parameter"
"""PgBouncer's answer to a connection with settings of its session."""


def preparing(*, pooler: bool, repeats_few: bool) -> dict[str, int | None]:
    """Return when the driver prepares a statement: never, at its first execution, or once it was repeated."""
    if pooler:
        return {"prepare_threshold": None}
    return {"prepare_threshold": 0} if repeats_few else {}


@contextmanager
def explain_pooler() -> Iterator[None]:
    """Explain the required settings if a pooler rejected a connection.

    Raises
    ------
    ConfigurationError
        A pooler refused it.
    """
    try:
        yield
    except psycopg.OperationalError as error:
        if _REFUSAL not in str(error):
            raise
        raise ConfigurationError(
            "the database URL leads to a connection pooler: set EXITFLOW_DATABASE_POOLER=true for a service; "
            "the relay and the commands need the URL of the PostgreSQL server itself"
        ) from None


def set_in_each_transaction(engine: Engine, statement: str) -> None:
    """Note the statement for the settings of each transaction: the pooler of the engine keeps none of a session."""
    engine.update_execution_options(**{_SETTINGS: statement})


def settings_of_each_transaction(engine_or_connection: Engine | Connection) -> str | None:
    """Return the statement to begin each transaction with; None without a pooler."""
    statement: str | None = engine_or_connection.get_execution_options().get(_SETTINGS)
    return statement


def check_session(search_path: str, schema: str) -> None:
    """Check the connection's startup settings; a pooler may ignore them.

    Raises
    ------
    ConfigurationError
        It did not.
    """
    if search_path != schema:
        raise ConfigurationError(
            f"the connection ignored the settings of its session (search_path is {search_path!r}, not {schema}): "
            "the relay and migrations need the URL of the PostgreSQL server itself, not of a pooler"
        )
