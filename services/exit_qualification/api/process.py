"""Process ``exit-api``."""

from __future__ import annotations

from fastapi import FastAPI

from services.exit_qualification.api.app import create
from shared.postgres.connection_limits import REQUESTS
from shared.postgres.pruning import Pruned
from shared.postgres.revisions import EXIT_QUALIFICATION
from shared.runtime.catalogue import EXIT_API
from shared.runtime.process import ProcessSpec, RunningProcess


def build(process: RunningProcess) -> FastAPI:
    """Return the API on its database."""
    settings = process.settings
    engine = process.open_database(settings.require_exit_database(), EXIT_QUALIFICATION, REQUESTS)
    process.prune(engine, Pruned.IDEMPOTENCY_KEYS, settings.idempotency_keep_days)
    return create(settings, engine, process.health, process.clock)


PROCESS = ProcessSpec(EXIT_API, build)
