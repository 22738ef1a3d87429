"""Inputs of the checker from a local stack."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from deploy.local.secrets.credentials import PAPER, Credentials
from deploy.local.state.data_directory import DataDirectory
from services.checker.checker import SystemUnderCheck
from services.cli.support.connection import Target
from services.cli.support.database_urls import administered_stack
from shared.postgres.revisions import EXIT_QUALIFICATION, TRADE_MANAGEMENT


def system_under_check(data_dir: Path, running: dict[str, Any]) -> SystemUnderCheck:
    """Return both databases, Kafka and the paper broker of the stack described by `running`, its ``stack.json``."""
    urls = administered_stack(running)
    credentials = Credentials.of(DataDirectory(data_dir).secrets_file)
    return SystemUnderCheck(
        exit_database_url=urls[EXIT_QUALIFICATION],
        trade_database_url=urls[TRADE_MANAGEMENT],
        settings=Target.of_stack(running).settings(),
        broker_url=running["paper_broker"],
        broker_credentials=json.loads(credentials.broker_credentials())[PAPER],
    )
