"""`exitflow corporate-actions`: apply, reverse, list."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli.support.api_client import Json, path_of
from services.cli.support.apis import trade_api
from services.cli.support.command_line import AsJson, DataDir, examples, new_app
from services.cli.support.input_files import read_input_file
from services.cli.support.output import note, show_json, show_table
from shared.contracts.corporate_actions import read_corporate_actions
from shared.wording import plural

app = new_app("Adjust open trades to splits, bonus issues and renamed symbols.")

_ACTION_COLUMNS = ("action_id", "kind", "symbol", "new_symbol", "shares_before", "shares_after", "effective_at",
                   "applied_at", "reversed_at")  # fmt: skip
_TERMS = ("symbol", "open_quantity", "entry_price", "exit_plan")
_TRADE_COLUMNS = ("action_id", "changed", "trade_id", *_TERMS, *(f"new {name}" for name in _TERMS))

DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the changes and store nothing.")]
SkipExitCheck = Annotated[
    bool,
    typer.Option("--skip-exit-check", help="Do not ask exit-api for live exits; make sure there are none."),
]


def add_to(root: typer.Typer, panel: str) -> None:
    """Add the group `corporate-actions` to a panel of the help."""
    root.add_typer(app, name="corporate-actions", rich_help_panel=panel)


@app.command(
    "apply", epilog=examples("corporate-actions apply actions.csv --dry-run", "corporate-actions apply actions.csv")
)
def apply(
    file: Annotated[
        Path,
        typer.Argument(
            help="CSV with the columns kind,symbol,ratio,new_symbol,effective_at. SPLIT has a ratio of old:new shares, "
            "BONUS of new:held shares, RENAME a new symbol. Without effective_at it is now."
        ),
    ],
    dry_run: DryRun = False,
    skip_exit_check: SkipExitCheck = False,
    reason: Annotated[str | None, typer.Option(help="Why; audited. The name of the file by default.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Adjust the open trades entered before each action, and their plans; all actions or none."""
    body: Json = {
        "actions": [action.model_dump(mode="json") for action in read_input_file(file, read_corporate_actions)],
        "reason": reason or f"corporate actions {file.name}",
        "dry_run": dry_run,
        "skip_exit_check": skip_exit_check,
    }
    with trade_api(data_dir) as api:
        answer = api.post("/corporate-actions/apply", body)
    _show(answer["items"], as_json, dry_run)


@app.command("reverse", epilog=examples('corporate-actions reverse 019abc… --reason "wrong ratio"'))
def reverse(
    action_id: Annotated[str, typer.Argument(help="The action's id.")],
    reason: Annotated[str, typer.Option(help="Why; audited.")],
    dry_run: DryRun = False,
    skip_exit_check: SkipExitCheck = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Restore the trades changed by an action, except those closed since."""
    body: Json = {"reason": reason, "dry_run": dry_run, "skip_exit_check": skip_exit_check}
    with trade_api(data_dir) as api:
        answer = api.post(path_of("/corporate-actions/{}/reverse", action_id), body)
    _show([answer], as_json, dry_run)


@app.command("list", epilog=examples("corporate-actions list", "corporate-actions list --json"))
def list_actions(
    limit: Annotated[int, typer.Option(help="Actions at most.", min=1, max=1000)] = 100,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List applied actions, newest first."""
    with trade_api(data_dir) as api:
        items = api.get("/corporate-actions", limit=limit)["items"]
    if as_json:
        show_json(items)
    else:
        show_table(_ACTION_COLUMNS, ([item[name] for name in _ACTION_COLUMNS] for item in items))


def _show(actions: list[Json], as_json: bool, dry_run: bool) -> None:
    if as_json:
        show_json({"items": actions})
        return
    rows = [
        [action["action_id"], action["changed"], trade["trade_id"]]
        + [trade[state][name] for state in ("before", "after") for name in _TERMS]
        for action in actions
        for trade in action["trades"]
    ]
    show_table(_TRADE_COLUMNS, rows, title="would change (dry run)" if dry_run else None)
    changed = sum(len(action["trades"]) for action in actions if action["changed"])
    note(f"{'would adjust' if dry_run else 'adjusted'} {plural(changed, 'trade')} by {plural(len(actions), 'action')}")
