"""Every command in README and documentation is executed by a test, and the command line takes all of `exitflow`."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from services.cli.main import app
from tests.support.documented_commands import (
    PAGES,
    ROOT,
    DocumentedCommand,
    claim_of,
    claimed_by,
    claims,
    documented_commands,
    hidden_commands,
)
from tests.unit.cli.test_command_matrix import COMMANDS

HERE = "tests/contract/test_documented_commands.py"
INLINE = re.compile(r"`exitflow ([^`\n]+)`")


@pytest.mark.parametrize("command", documented_commands(), ids=str)
def test_a_test_executes_each_documented_command(command: DocumentedCommand) -> None:
    assert claim_of(command), "name its test in documented_commands.toml"


def test_each_claim_is_of_an_existing_test_and_command() -> None:
    made = {(each.page, *claim) for each in documented_commands() if (claim := claim_of(each))}
    for page, tests in claims().items():
        for test, patterns in tests.items():
            file, _, name = test.partition("::")
            assert re.search(rf"^(def|class) {name}\b|^{name} = ", (ROOT / file).read_text(), re.MULTILINE), test
            assert [pattern for pattern in patterns if (page, test, pattern) not in made] == [], (page, test)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_stand_in_blocks_of_a_shell(page: Path) -> None:
    assert hidden_commands(page.read_text()) == []


@pytest.mark.parametrize("command", claimed_by(f"{HERE}::test_a_documented_target_has_a_recipe"))
def test_a_documented_target_has_a_recipe(command: str) -> None:
    told = subprocess.run(
        ["make", "--dry-run", *command.split()[1:]], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (told.returncode, told.stderr) == (0, "")


def test_the_suite_runs_in_the_documented_environment() -> None:
    assert (Path(sys.prefix) / "bin" / "activate").exists()


@pytest.mark.parametrize("command", claimed_by(f"{HERE}::test_a_documented_bench_has_its_options"))
def test_a_documented_bench_has_its_options(command: str) -> None:
    _, *words = command.split()
    options = {word for word in words if word.startswith("--")}
    told = subprocess.run(
        [sys.executable, *words[:2], "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert options <= set(re.findall(r"--[\w-]+", told.stdout))


@pytest.mark.parametrize("line", [each.text for each in documented_commands() if each.text.startswith("exitflow ")])
def test_a_documented_command_is_understood(line: str) -> None:
    words = shlex.split(re.split(r" [|>] ", line)[0])[1:]
    context = typer.main.get_command(app).make_context("exitflow", words)
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
