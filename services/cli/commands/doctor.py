"""`exitflow doctor`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from deploy.local.state.data_directory import DataDirectory, default_data_dir
from deploy.local.state.stack_file import read_stack_file
from services.cli.support.command_line import AsJson, DataDir, examples
from services.cli.support.connection import Target
from services.cli.support.output import note, show_json, show_table
from services.doctor.examination import examine
from services.doctor.symptom import Severity
from shared.errors import InvalidInput, NotFound


def add_to(root: typer.Typer, panel: str) -> None:
    """Add the command to a panel of the help."""
    shown = examples("doctor", "doctor --process relay=http://10.0.0.7:8000")
    root.command("doctor", rich_help_panel=panel, epilog=shown)(doctor)


def doctor(
    process: Annotated[
        list[str] | None,
        typer.Option(help="NAME=URL of a process to ask; repeatable. By default those of the local stack."),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Find what keeps exits from happening, and show what to do; changes nothing.

    It asks every process, Kafka, both APIs and both outboxes. The exit status is 1 if there is a problem.
    """
    target = Target.choose(data_dir)
    found = list(examine(target, _named(process) if process else _local_processes(data_dir)))
    if as_json:
        show_json([asdict(each) for each in found])
    elif found:
        show_table(
            ("", "subject", "finding", "do"), ([each.severity, *list(asdict(each).values())[1:]] for each in found)
        )
    problems = sum(each.severity is Severity.PROBLEM for each in found)
    note(f"{problems} problems" if problems else "no problem found")
    raise typer.Exit(1 if problems else 0)


def _named(processes: list[str]) -> dict[str, str]:
    if wrong := [each for each in processes if "=" not in each]:
        raise InvalidInput(f"--process {wrong[0]}: write NAME=URL, e.g. relay=http://127.0.0.1:8004")
    return dict(each.split("=", 1) for each in processes)


def _local_processes(data_dir: Path | None) -> dict[str, str]:
    """Return the processes of the local stack; none where no stack runs."""
    try:
        described = read_stack_file(DataDirectory(data_dir or default_data_dir()).stack_file)
    except NotFound:
        return {}
    return {name: url.removesuffix("/metrics") for name, url in described["metrics"].items()}
