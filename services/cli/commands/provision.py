"""`exitflow provision`."""

from __future__ import annotations

from typing import Annotated

import typer

from deploy.local.stack.seed_data import migrate_both, set_defaults
from services.cli.support.command_line import AsJson, examples
from services.cli.support.database_urls import migrator_url
from services.cli.support.output import note, show_json
from shared.errors import ConfigurationError
from shared.postgres.revisions import EXIT_QUALIFICATION, TRADE_MANAGEMENT
from shared.settings import load_settings


def add_to(root: typer.Typer, panel: str) -> None:
    """Add the command to a panel of the help."""
    root.command(
        "provision", rich_help_panel=panel, epilog=examples("provision --paper-broker http://paper-broker:8003")
    )(provision)


def provision(
    paper_broker: Annotated[str, typer.Option(help="Root URL of the paper broker, connected as `paper`.")],
    as_json: AsJson = False,
) -> None:
    """Migrate both schemas as the migrator and store the defaults of a trial system.

    The defaults: rollout full unless an operator decided otherwise, the paper broker, EXITFLOW_PUBLIC_TOKEN as an
    operator's token. If set, EXITFLOW_LAST_PRICES_TOKEN becomes the token of trade-api at exit-api, and
    EXITFLOW_EXECUTION_TOKEN that of trade-fills. Repeating it is harmless. The roles must exist: `exitflow migrate
    roles`.
    """
    settings = load_settings()
    if settings.public_token is None:
        raise ConfigurationError("EXITFLOW_PUBLIC_TOKEN is not set; set it to the operators' future token")
    exit_url, trade_url = (migrator_url(settings, history) for history in (EXIT_QUALIFICATION, TRADE_MANAGEMENT))
    prices_token, execution_token = settings.last_prices_token, settings.execution_token
    migrate_both(exit_url, trade_url, note)
    set_defaults(
        exit_url,
        trade_url,
        operator_token=settings.public_token.get_secret_value(),
        paper_broker_url=paper_broker,
        trade_api_token=None if prices_token is None else prices_token.get_secret_value(),
        execution_token=None if execution_token is None else execution_token.get_secret_value(),
    )
    if as_json:
        show_json({"user_broker_id": "paper", "root_url": paper_broker, "last_prices_token": prices_token is not None})
    else:
        print(f"rollout, user broker paper at {paper_broker}, operator's token: set")
