"""The command line loads a command only when it is used."""

from __future__ import annotations

import subprocess
import sys

import typer

from services.cli.main import COMMANDS, app
from services.cli.support.command_line import Panel

PROGRAM = """
import sys
import typer
from services.cli.main import app
typer.main.get_command(app).commands["run"]
heavy = {"alembic", "confluent_kafka", "cryptography", "fastapi"}
print(sorted(heavy & set(sys.modules)))
"""


def test_a_process_starts_without_the_code_of_other_commands() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == "[]\n"


def test_every_command_matches_module_and_panel_in_table() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    commands = group.commands
    assert list(COMMANDS) == list(Panel)
    for panel, names in COMMANDS.items():
        for name in names:
            assert (commands[name].name, vars(commands[name])["rich_help_panel"]) == (name, panel)
