"""`exitflow run mcp`."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli.support.command_line import DataDir
from shared.errors import ConfigurationError


def run_mcp(
    allow_changes: Annotated[
        bool,
        typer.Option("--allow-changes", help="Also offer forced exits, withdrawals and the kill switch; audited."),
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Serve the state of the system to a language model, by the Model Context Protocol on standard input and output.

    It only reads unless changes are allowed. It has the rights of the token: with scope read it can change nothing.
    """
    # Imported here: no other process loads the client's code.
    from services.cli.support.api_client import ApiClient
    from services.cli.support.connection import Target

    try:
        from services.mcp_server.server import new_server
    except ImportError as error:
        raise ConfigurationError("exitflow run mcp needs its extra: pip install 'exitflow[mcp]'") from error
    target = Target.choose(data_dir)
    with ApiClient(target.exit_api, target.token) as exits, ApiClient(target.trade_api, target.token) as trades:
        new_server(exits, trades, may_change=allow_changes).run()
