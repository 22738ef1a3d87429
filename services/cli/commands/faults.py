"""`exitflow faults`: list, add, remove."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli.support.command_line import AsJson, DataDir, examples, new_app
from services.cli.support.output import note, show_json, show_table
from services.cli.support.paper_broker_client import open_paper_broker

app = new_app("Let the paper broker misbehave on request.")

_COLUMNS = ("rule_id", "symbol", "remaining", "effect")

PaperBroker = Annotated[
    str, typer.Option(help="Root URL of the paper broker; needs EXITFLOW_BROKER_CREDENTIALS. Default: the stack's.")
]


def add_to(root: typer.Typer, panel: str) -> None:
    """Add the group `faults` to a panel of the help."""
    root.add_typer(app, name="faults", rich_help_panel=panel)


@app.command("list", epilog=examples("faults list", "faults list --paper-broker http://127.0.0.1:8003"))
def list_faults(paper_broker: PaperBroker = "", data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the faults waiting for orders or order updates, oldest first."""
    with open_paper_broker(paper_broker, data_dir) as broker:
        rules = broker.ask("GET", "/paper/faults")
    show_json(rules) if as_json else show_table(_COLUMNS, ([rule[name] for name in _COLUMNS] for rule in rules))


@app.command(
    "add",
    epilog=examples(
        "faults add partial_fill quantity=40 rest_after_ms=500 --symbol NSE:INFY",
        "faults add refuse error_type=NetworkException http_status=429 --count 5",
        "faults add lose_postback --until-removed",
    ),
)
def add(
    effect: Annotated[str, typer.Argument(metavar="EFFECT", help="Kind of fault, for example reject or delay_fill.")],
    fields: Annotated[list[str] | None, typer.Argument(metavar="[FIELD=VALUE]...", help="Fields of it.")] = None,
    symbol: Annotated[str | None, typer.Option(help="Only orders of this symbol.")] = None,
    count: Annotated[int, typer.Option(help="How many orders or order updates meet it.", min=1)] = 1,
    until_removed: Annotated[
        bool, typer.Option("--until-removed", help="All of them do, until it is removed.")
    ] = False,
    paper_broker: PaperBroker = "",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Add a fault for the next orders or order updates; the page "The paper broker" lists the effects."""
    wanted = {"kind": effect, **dict(map(_field, fields or []))}
    body = {"symbol": symbol, "count": None if until_removed else count, "effect": wanted}
    with open_paper_broker(paper_broker, data_dir) as broker:
        rule = broker.ask("POST", "/paper/faults", body)
    show_json(rule) if as_json else print(rule["rule_id"])


@app.command("remove", epilog=examples("faults remove 7", "faults remove"))
def remove(
    rule_id: Annotated[int | None, typer.Argument(help="The fault's number; all faults without one.")] = None,
    paper_broker: PaperBroker = "",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Remove a fault, or all."""
    path = "/paper/faults" if rule_id is None else f"/paper/faults/{rule_id}"
    with open_paper_broker(paper_broker, data_dir) as broker:
        answer = broker.ask("DELETE", path)
    show_json(answer) if as_json else note(f"removed: {answer['removed']}")


def _field(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not (name and separator):
        raise typer.BadParameter(f"{text!r} is not FIELD=VALUE")
    return name, value
