"""`exitflow accounts`: list, show, connect, limit, release."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from http import HTTPStatus
from typing import Annotated

import typer

from services.cli.support.api_client import ApiClient, Json, Refused, path_of
from services.cli.support.apis import exit_api
from services.cli.support.command_line import AsJson, DataDir, IdempotencyKey, examples, new_app
from services.cli.support.output import show_facts, show_json, show_table
from shared.contracts.vocabulary import LossBasis

app = new_app("Show and connect accounts, limit their losses, release held ones.")

NO_LIMIT = "none"
_NEEDED = {"account": "--broker-account", "root_url": "--root-url"}
_COLUMNS = (
    "user_broker_id",
    "broker",
    "account",
    "status",
    "token_refused_at",
    "token_ends_at",
    "entries_held_since",
    "entries_held_reason",
)

Account = Annotated[str, typer.Argument(help="The account's user_broker_id.")]
Reason = Annotated[str, typer.Option(help="Why; audited.")]


def add_to(root: typer.Typer, panel: str) -> None:
    """Add the group `accounts` to a panel of the help."""
    root.add_typer(app, name="accounts", rich_help_panel=panel)


@app.command("list", epilog=examples("accounts list"))
def list_accounts(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the accounts for exits, with the end of their tokens and their holds."""
    with exit_api(data_dir) as api:
        accounts = api.get("/brokers")["items"]
    if as_json:
        show_json(accounts)
    else:
        show_table(_COLUMNS, ([account.get(column) for column in _COLUMNS] for account in accounts))


@app.command("show", epilog=examples("accounts show paper"))
def show(account: Account, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show where an account's exits are executed, its loss limit and its profit and loss of the day, before charges."""
    with exit_api(data_dir) as api:
        _show(api.get(path_of("/brokers/{}", account)) | api.get(path_of("/brokers/{}/loss-limit", account)), as_json)


@app.command(
    "connect",
    epilog=examples(
        'accounts connect zerodha-1 --root-url https://api.kite.trade --broker-account AB1234 --reason "new account"',
        'accounts connect zerodha-1 --disconnected --reason "broker maintenance"',
    ),
)
def connect(
    account: Account,
    reason: Reason,
    root_url: Annotated[str | None, typer.Option(help="Root URL of the broker's API.")] = None,
    broker_account: Annotated[str | None, typer.Option(help="The account's name at the broker.")] = None,
    broker: Annotated[str | None, typer.Option(help="The broker's adapter; kite for a new account.")] = None,
    connected: Annotated[
        bool | None, typer.Option("--connected/--disconnected", help="A new account is connected.")
    ] = None,
    orders_not_sent: Annotated[
        bool, typer.Option("--orders-not-sent", help="Exits without an order id never reached the broker.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Add an account, or change the given fields of a known one. While it is disconnected its exits wait.

    Another broker, account or URL needs scope admin and a host of EXITFLOW_BROKER_HOSTS.
    """
    status = None if connected is None else ("CONNECTED" if connected else "DISCONNECTED")
    given = {"broker": broker, "account": broker_account, "root_url": root_url, "status": status}
    with exit_api(data_dir) as api:
        known = _known(api, account)
        body = {name: known[name] if value is None else value for name, value in given.items()}
        missing = [flag for name, flag in _NEEDED.items() if body[name] is None]
        if missing:
            raise typer.BadParameter(f"{account} is a new account: it needs {' and '.join(missing)}")
        answer = api.put(path_of("/brokers/{}", account), body | {"reason": reason, "orders_not_sent": orders_not_sent})
    _show(answer, as_json)


def _known(api: ApiClient, account: str) -> Json:
    """Return an account as it is; the defaults of a new one if it is not known."""
    try:
        return api.get(path_of("/brokers/{}", account))
    except Refused as refused:
        if refused.status != HTTPStatus.NOT_FOUND:
            raise
        return {"broker": "kite", "account": None, "root_url": None, "status": "CONNECTED"}


@app.command(
    "limit",
    epilog=examples(
        'accounts limit paper 25000 --reason "policy"',
        'accounts limit paper 10000 --basis PEAK --reason "volatile week"',
        'accounts limit paper none --reason "closed account"',
    ),
)
def limit(
    account: Account,
    loss: Annotated[str, typer.Argument(metavar="RUPEES", help="Loss of a day to hold it; none removes the limit.")],
    reason: Reason,
    basis: Annotated[
        LossBasis,
        typer.Option(help="Count the loss from the day's start or its peak.", case_sensitive=False),
    ] = LossBasis.START_OF_DAY,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Set the loss limit of an account for a day. At the limit it is flattened and held until it is released."""
    body: Json = {"loss_limit": _rupees(loss), "basis": basis.value, "reason": reason}
    with exit_api(data_dir) as api:
        _show(api.put(path_of("/brokers/{}/loss-limit", account), body), as_json)


@app.command("release", epilog=examples('accounts release paper --reason "limit raised by risk"'))
def release(
    account: Account,
    reason: Reason,
    key: IdempotencyKey = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Let trades be opened at a held account again; its loss counts from now."""
    with exit_api(data_dir) as api:
        _show(api.post(path_of("/brokers/{}/release", account), {"reason": reason}, key), as_json)


def _rupees(text: str) -> str | None:
    if text == NO_LIMIT:
        return None
    try:
        return format(Decimal(text), "f")
    except InvalidOperation as error:
        raise typer.BadParameter(f"{text!r} is neither an amount in rupees nor {NO_LIMIT}") from error


def _show(account: Json, as_json: bool) -> None:
    show_json(account) if as_json else show_facts(account.items())
