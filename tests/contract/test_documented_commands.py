"""The command line takes every `exitflow` command in README and documentation."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from services.cli.main import app
from tests.unit.cli.test_command_matrix import COMMANDS

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
INLINE = re.compile(r"`exitflow ([^`\n]+)`")
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


def _mentioned() -> list[str]:
    """Return every command within a sentence, but for alternatives such as ``outbox pause|resume``."""
    mentioned = {line for page in PAGES for line in INLINE.findall(page.read_text())}
    return sorted(line for line in mentioned if "|" not in line and not line.startswith(("run NAME", "--", "COMMAND")))


@pytest.mark.parametrize("line", _mentioned())
def test_a_command_within_a_sentence_exists_with_its_options(line: str) -> None:
    words = line.split()
    names = [name for length in (3, 2, 1) if (name := " ".join(words[:length])) in COMMANDS]
    if not names:
        assert any(name.startswith(f"{words[0]} ") for name in COMMANDS)
        assert len(words) == 1
        return
    parameters = COMMANDS[names[0]].params
    flags = {flag for each in parameters for flag in (*each.opts, *each.secondary_opts)}
    assert {word.partition("=")[0] for word in words if word.startswith("--")} <= flags | {"--help"}
