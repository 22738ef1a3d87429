"""The reference page of the command line."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import typer

from services.cli.main import app
from services.cli.support.command_line import Panel
from services.contracts.pages import page, table

_MARKUP = re.compile(r"\[/?bold\]")
_HOME = re.compile(r"^(help|data_dir|as_json)$")


def command_page() -> str:
    """Return the page of all commands, panel by panel."""
    root: Any = typer.main.get_command(app)
    blocks = []
    for panel in Panel:
        commands = [each for each in root.commands.values() if each.rich_help_panel == panel]
        blocks.append(f"## {panel}")
        blocks += [block for each in commands for block in _blocks(f"exitflow {each.name}", each)]
    intro = (
        "`--help` of every command shows the same with examples. `--data-dir` names a local stack to connect to.",
        "Without it, the settings name the system; without settings, the stack in the default directory is used.",
        "`--json` prints JSON instead of a table. The exit status is 0 for success, 1 for failure, 2 for wrong usage",
        "or settings, 130 for Ctrl-C. A command with other statuses says so.",
    )
    return page("Command line", intro, *blocks)


def _blocks(path: str, command: Any) -> Iterator[str]:
    children = getattr(command, "commands", None)
    if children is None:
        yield f"### `{' '.join([path, *_arguments(command)])}`"
        yield _plain(command.help)
        yield _options(command)
        yield _examples(command.epilog or "")
        return
    for child in children.values():
        yield from _blocks(f"{path} {child.name}", child)


def _arguments(command: Any) -> list[str]:
    return [_metavar(each) for each in _parameters(command) if each.param_type_name == "argument"]


def _metavar(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    return name if argument.required else f"[{name}]"


def _parameters(command: Any) -> list[Any]:
    return [each for each in command.params if not _HOME.match(each.name)]


def _options(command: Any) -> str:
    rows = [(_name(each), _default(each), each.help or "") for each in _parameters(command)]
    return table(("name", "default", "meaning"), rows) if rows else ""


def _name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar or parameter.name.upper()}`"
    return ", ".join(f"`{each}`" for each in (*parameter.opts, *parameter.secondary_opts))


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    if isinstance(parameter.show_default, str):
        return parameter.show_default
    value = getattr(parameter.default, "value", parameter.default)
    return "" if value in (None, False, "") or callable(value) else f"`{value}`"


def _plain(text: str | None) -> str:
    paragraphs = _MARKUP.sub("", inspect.cleandoc(text or "")).split("\f")[0].split("\n\n")
    return "\n\n".join(paragraph for paragraph in paragraphs if not paragraph.startswith("Raises"))


def _examples(epilog: str) -> str:
    lines = [line.removeprefix("$ ") for line in epilog.split("\n\n") if line.startswith("$ ")]
    return "\n".join(["```sh", *lines, "```"]) if lines else ""
