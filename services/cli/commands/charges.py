"""`exitflow charges`: schedules, finalise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli.support.api_client import Json
from services.cli.support.apis import trade_api
from services.cli.support.command_line import AsJson, DataDir, examples, new_app
from services.cli.support.input_files import read_input_file
from services.cli.support.output import note, show_json, show_table
from shared.contracts.charges import MOST_NOTE_LINES, ContractNoteLine, read_contract_note

app = new_app("Charges of trades: the rates, and contract notes for making them final.")

_RATE_COLUMNS = ("exchange", "segment", "product_type", "charge", "side", "rate", "flat", "maximum", "enabled",
                 "effective_from", "effective_to", "source")  # fmt: skip
_LEG_COLUMNS = ("trade_id", "leg", "charges", "changed")


def add_to(root: typer.Typer, panel: str) -> None:
    """Add the group `charges` to a panel of the help."""
    root.add_typer(app, name="charges", rich_help_panel=panel)


@app.command("schedules", epilog=examples("charges schedules", "charges schedules --day 2026-03-31 --json"))
def schedules(
    day: Annotated[str | None, typer.Option(help="The day, e.g. 2026-03-31; today by default.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show the rates in force on a day, with their sources."""
    with trade_api(data_dir) as api:
        found = api.get("/charges/schedules", day=day)
    if as_json:
        show_json(found)
    else:
        show_table(_RATE_COLUMNS, ([rate[name] for name in _RATE_COLUMNS] for rate in found["items"]))


@app.command("finalise", epilog=examples("charges finalise note.csv --dry-run", "charges finalise note.csv"))
def finalise(
    file: Annotated[
        Path,
        typer.Argument(
            help="CSV with the columns trade_id,leg,charge,amount; leg is ENTRY or EXIT. A leg is given whole: "
            "a charge of it without a line is zero."
        ),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the file and store nothing.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace final charges of an earlier contract note.")
    ] = False,
    reason: Annotated[str | None, typer.Option(help="Why; audited. The name of the file by default.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make charges of closed trades final, from contract notes. The same file again changes nothing."""
    body: Json = {"reason": reason or f"contract note {file.name}", "replace": replace}
    requests = [
        body | {"lines": [each.model_dump(mode="json") for each in part]}
        for part in _parts(read_input_file(file, read_contract_note))
    ]
    with trade_api(data_dir) as api:
        # All parts are checked before the first is stored.
        found = [api.post("/charges/finalise", request | {"dry_run": True}) for request in requests]
        if not dry_run:
            found = [api.post("/charges/finalise", request | {"dry_run": False}) for request in requests]
    items = [item for answer in found for item in answer["items"]]
    if as_json:
        show_json({"items": items})
        return
    show_table(_LEG_COLUMNS, ([item[name] for name in _LEG_COLUMNS] for item in items))
    verb = "would change" if dry_run else "changed"
    note(f"{verb} the charges of {sum(item['changed'] for item in items)} of {len(items)} legs")


def _parts(lines: list[ContractNoteLine]) -> list[list[ContractNoteLine]]:
    """Return the lines in requests; those of one trade stay together."""
    parts: list[list[ContractNoteLine]] = [[]]
    by_trade: dict[str, list[ContractNoteLine]] = {}
    for each in lines:
        by_trade.setdefault(str(each.trade_id), []).append(each)
    for of_trade in by_trade.values():
        if len(parts[-1]) + len(of_trade) > MOST_NOTE_LINES:
            parts.append([])
        parts[-1] += of_trade
    return parts
