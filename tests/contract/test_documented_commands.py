"""Every `exitflow` command that README and the documentation show is one that the command line takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from services.cli.main import app

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHOWN = re.compile(r"^(exitflow [^#|>\n]+)", re.MULTILINE)


def _shown() -> list[str]:
    return [line.strip() for page in PAGES for line in SHOWN.findall(page.read_text())]


def test_there_are_commands_to_check() -> None:
    assert len(_shown()) >= 7


@pytest.mark.parametrize("line", _shown())
def test_a_documented_command_is_understood(line: str) -> None:
    context = typer.main.get_command(app).make_context("exitflow", shlex.split(line)[1:])
    while rest := [*context._protected_args, *context.args]:
        assert isinstance(context.command, typer.core.TyperGroup)
        name, command, arguments = context.command.resolve_command(context, rest)
        assert command is not None
        context = command.make_context(name, arguments, parent=context)
        if not hasattr(command, "resolve_command"):
            return
