"""`exitflow doctor`."""

from __future__ import annotations

from dataclasses import asdict

import typer

from services.cli.support.command_line import AsJson, DataDir, examples
from services.cli.support.connection import Target
from services.cli.support.output import note, show_json, show_table
from services.cli.support.process_urls import ProcessOption, process_urls
from services.doctor.examination import examine
from services.doctor.symptom import Severity
from shared.wording import plural


def add_to(root: typer.Typer, panel: str) -> None:
    """Add the command to a panel of the help."""
    shown = examples("doctor", "doctor --process relay=http://10.0.0.7:8000")
    root.command("doctor", rich_help_panel=panel, epilog=shown)(doctor)


def doctor(
    process: ProcessOption = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Find obstacles to exits, with the remedy for each; changes nothing.

    It asks every process, Kafka, both APIs and both outboxes. The exit status is 1 if there is a problem.
    """
    target = Target.choose(data_dir)
    found = examine(target, process_urls(process, data_dir))
    if as_json:
        show_json([asdict(each) for each in found])
    elif found:
        show_table(
            ("", "subject", "finding", "do"), ([each.severity, *list(asdict(each).values())[1:]] for each in found)
        )
    problems = sum(each.severity is Severity.PROBLEM for each in found)
    note(plural(problems, "problem") if problems else "no problem found")
    raise typer.Exit(1 if problems else 0)
