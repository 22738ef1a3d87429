"""`exitflow tokens`: create, show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli.support.api_client import ApiClient
from services.cli.support.command_line import AsJson, DataDir, examples, new_app
from services.cli.support.connection import Target
from services.cli.support.database_urls import chosen_databases
from services.cli.support.output import note, show_json, show_table
from shared.errors import ConfigurationError
from shared.http.auth import Scope, store_token
from shared.ids import new_secret
from shared.postgres.connection_limits import TOOLS
from shared.postgres.engine import open_engine

LEAST_LENGTH = 32
"""Least characters of a caller's own token: only its bare hash is kept, so it must be long."""

app = new_app("Create tokens for the HTTP APIs.")


def add_to(root: typer.Typer, panel: str) -> None:
    """Add the group `tokens` to a panel of the help."""
    root.add_typer(app, name="tokens", rich_help_panel=panel)


@app.callback()
def group() -> None:
    """Tokens for the HTTP APIs."""


@app.command(
    "create",
    epilog=examples(
        "tokens create dashboard --scope read",
        "tokens create desk --scope read --scope trade --json",
        "tokens create chief --scope read --scope operate --scope admin",
    ),
)
def create(
    name: Annotated[str, typer.Argument(help="Who it is for; shown in the audit log.")],
    scope: Annotated[list[Scope], typer.Option(help="Scope of the token; repeatable.")],
    from_file: Annotated[
        Path | None, typer.Option(help="Store the token in this file instead of a new one; it is not printed.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Create a token for both APIs and print it once: only its hash is stored.

    Needs a local stack, or the migrator's credentials in the settings. An existing token of the same name stops
    working.
    """
    token = new_secret() if from_file is None else _read(from_file)
    for history, url in chosen_databases(data_dir).items():
        _store(history, url, token, name, scope)
    if as_json:
        shown = {} if from_file is not None else {"token": token}
        show_json({"name": name, "scopes": [each.value for each in scope], **shown})
    elif from_file is not None:
        print(f"stored the token of {name}")
    else:
        note("keep it now, it is not shown again:")
        print(token)


@app.command("show", epilog=examples("tokens show", "tokens show --json"))
def show(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show the name and scopes of the commands' token, as each API knows it."""
    target = Target.choose(data_dir)
    known = {}
    for service, root in (("exit-api", target.exit_api), ("trade-api", target.trade_api)):
        with ApiClient(root, target.token) as api:
            known[service] = api.get("/whoami")
    if as_json:
        show_json(known)
    else:
        rows = ((service, each["name"], ", ".join(each["scopes"])) for service, each in known.items())
        show_table(("api", "name", "scopes"), rows)


def _read(file: Path) -> str:
    try:
        token = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read {file}: {error}") from error
    if len(token) < LEAST_LENGTH:
        raise ConfigurationError(f"the token in {file} is shorter than {LEAST_LENGTH} characters; use a longer one")
    return token


def _store(history: str, url: str, token: str, name: str, scopes: list[Scope]) -> None:
    engine = open_engine(url, history, application="exitflow-tokens", limits=TOOLS)
    try:
        with engine.begin() as connection:
            store_token(connection, token, name, scopes)
    finally:
        engine.dispose()
