"""`exitflow check`."""

from __future__ import annotations

from typing import Annotated

import typer

from deploy.compose.secret_files import named_broker_credentials
from deploy.local.secrets.credentials import PAPER
from services.checker.checker import SystemUnderCheck, check_once_settled
from services.checker.finding import verdict
from services.checker.stack import system_under_check
from services.cli.support.command_line import AsJson, DataDir, examples
from services.cli.support.database_urls import migrator_url, stack_with_databases
from services.cli.support.kafka_check import require_kafka
from services.cli.support.output import note, show_json
from services.demo.report import show_findings, trades_as_json
from shared.clock import SystemClock
from shared.postgres.revisions import EXIT_QUALIFICATION, TRADE_MANAGEMENT
from shared.settings import Settings, load_settings


def add_to(root: typer.Typer, panel: str) -> None:
    """Add the command to a panel of the help."""
    root.command(
        "check",
        rich_help_panel=panel,
        epilog=examples("check", "check --data-dir ./stack", "check --paper-broker http://127.0.0.1:8003"),
    )(check)


def check(
    paper_broker: Annotated[
        str, typer.Option(help="Root URL of the paper broker, to compare its books; needs EXITFLOW_BROKER_CREDENTIALS.")
    ] = "",
    settle: Annotated[float, typer.Option(help="Seconds to wait for work under way.", min=0)] = 45,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Check the invariants in the databases, on Kafka and in the paper broker's books; changes nothing.

    Check the local stack, unless the settings name the databases. These are read with the migrator's credentials. The
    exit status is 0 only if every invariant holds.
    """
    settings = load_settings()
    stack = stack_with_databases(data_dir, settings)
    system = _system(settings, paper_broker) if stack is None else system_under_check(stack.data_dir, stack.described)
    require_kafka(system.settings)
    note("reading both databases, the whole Kafka log and the broker's books")
    findings = check_once_settled(system, SystemClock(), settle, note)
    if as_json:
        show_json(trades_as_json([], findings)["invariants"])
    else:
        show_findings(findings)
    fine = all(finding.holds for finding in findings)
    note(verdict(findings))
    raise typer.Exit(0 if fine else 1)


def _system(settings: Settings, paper_broker: str) -> SystemUnderCheck:
    credentials = settings.broker_credentials
    return SystemUnderCheck(
        exit_database_url=migrator_url(settings, EXIT_QUALIFICATION),
        trade_database_url=migrator_url(settings, TRADE_MANAGEMENT),
        settings=settings,
        broker_url=paper_broker if credentials else "",
        broker_credentials=named_broker_credentials(credentials.get_secret_value(), PAPER) if credentials else {},
    )
