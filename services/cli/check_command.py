"""`exitflow check`."""

from __future__ import annotations

from typing import Annotated

import typer

from deploy.local.credentials import PAPER
from services.cli.command_line import AsJson, examples
from services.cli.database_urls import migrator_url
from services.cli.demo.report import show_findings, trades_as_json
from services.cli.invariants.checker import SystemUnderCheck, check_once_settled
from services.cli.output import note, show_json
from services.cli.secret_files import named_broker_credentials
from shared.clock import SystemClock
from shared.migrations import EXIT_QUALIFICATION, TRADE_MANAGEMENT
from shared.settings import Settings, load_settings


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check", epilog=examples("check", "check --paper-broker http://127.0.0.1:8003 --settle 0"))(check)


def check(
    paper_broker: Annotated[
        str, typer.Option(help="Root URL of the paper broker, to compare its books; needs EXITFLOW_BROKER_CREDENTIALS.")
    ] = "",
    settle: Annotated[float, typer.Option(help="Seconds to wait for what is under way.", min=0)] = 45,
    as_json: AsJson = False,
) -> None:
    """Check what must hold, in the databases and the Kafka cluster that the settings name; nothing is changed.

    Needs the migrator's credentials, which may read everything. The exit status is 0 only if everything holds.
    """
    findings = check_once_settled(_system(load_settings(), paper_broker), SystemClock(), settle)
    if as_json:
        show_json(trades_as_json([], findings)["invariants"])
    else:
        show_findings(findings)
    fine = all(finding.holds for finding in findings)
    note("everything holds" if fine else "NOT everything holds")
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
