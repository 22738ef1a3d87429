"""`exitflow calendar`: load, show, list."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli.support.apis import exit_api
from services.cli.support.calendar_files import read_calendars
from services.cli.support.command_line import AsJson, DataDir, examples, new_app
from services.cli.support.output import show_facts, show_json, show_table

app = new_app("Load and show the hours of exchanges.")

_COLUMNS = ("exchange", "valid_from", "valid_to", "weekdays", "sessions", "square_off", "days")
_CHANGE_COLUMNS = ("exchange", "valid_from", "change")
_SESSION_COLUMNS = ("phase", "opens", "closes")


def add_to(root: typer.Typer, panel: str) -> None:
    """Add the group `calendar` to a panel of the help."""
    root.add_typer(app, name="calendar", rich_help_panel=panel)


@app.command(
    "load", epilog=examples("calendar load calendars-2026.toml --dry-run", "calendar load calendars-2026.toml")
)
def load(
    file: Annotated[Path, typer.Argument(help="Calendars, as TOML (.toml) or JSON (.json).")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the changes and store nothing.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why; audited. The name of the file by default.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Add or replace calendars of exchanges; other calendars stay. Exits follow the new hours at once."""
    calendars = read_calendars(file)
    body = calendars.model_dump(mode="json") | {"reason": reason or f"loaded {file.name}"}
    with exit_api(data_dir) as api:
        answer = api.put(f"/calendars?dry_run={str(dry_run).lower()}", body)
    if as_json:
        show_json(answer)
        return
    title = "would change (dry run)" if dry_run else "calendars"
    show_table(
        _CHANGE_COLUMNS, ([each[column] for column in _CHANGE_COLUMNS] for each in answer["changes"]), title=title
    )


@app.command("show", epilog=examples("calendar show --exchange NSE", "calendar show --exchange MCX --date 2026-11-08"))
def show(
    exchange: Annotated[str, typer.Option(help="The exchange, e.g. NSE.")],
    on: Annotated[str | None, typer.Option("--date", help="The day, e.g. 2026-11-08; today by default.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show sessions and square-off times of an exchange on a day."""
    with exit_api(data_dir) as api:
        day = api.get("/calendars/day", exchange=exchange, date=on)
    if as_json:
        show_json(day)
        return
    sessions = ([each[column] for column in _SESSION_COLUMNS] for each in day["sessions"])
    show_facts((name, value) for name, value in day.items() if name != "sessions")
    show_table(_SESSION_COLUMNS, sessions, title="sessions")


@app.command("list", epilog=examples("calendar list", "calendar list --json"))
def list_calendars(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List every calendar, by exchange and first day."""
    with exit_api(data_dir) as api:
        items = api.get("/calendars")["items"]
    if as_json:
        show_json(items)
    else:
        rows = ({**item, "days": [day["date"] for day in item["days"]]} for item in items)
        show_table(_COLUMNS, ([row[column] for column in _COLUMNS] for row in rows))
