"""Keeps the condition ``database`` of a process's health true to what the database answers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from shared.database_failures import reason
from shared.health import Health

log = logging.getLogger(__name__)

CONDITION = "database"
INTERVAL_S = 2.0


@contextmanager
def watch_database(engine: Engine, health: Health) -> Iterator[None]:
    """While inside, ask the database every two seconds and note the answer."""
    stop = threading.Event()
    thread = threading.Thread(target=_watch, args=(engine, health, stop), name="database-health", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _watch(engine: Engine, health: Health, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            with engine.connect() as connection:
                connection.execute(text("SELECT FROM api_tokens LIMIT 1"))
            health.fine(CONDITION)
        except SQLAlchemyError as error:
            health.problem(CONDITION, f"does not answer ({reason(error)})")
            log.warning("the database does not answer: %s", reason(error))
        stop.wait(INTERVAL_S)
