"""Commands imported at their use: no process loads the code of every other command."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

import typer
from typer.core import TyperGroup

from services.cli.support.command_line import Panel, new_app

Modules = Mapping[Panel, Mapping[str, str]]


class LazyCommands(Mapping[str, Any]):
    """Commands by name; each is imported when it is looked up.

    `modules` names, panel by panel, the module of each command; the module has ``add_to(root, panel)``.
    """

    def __init__(self, modules: Modules) -> None:
        self._places = {name: (module, panel) for panel, names in modules.items() for name, module in names.items()}

    def __getitem__(self, name: str) -> Any:
        module, panel = self._places[name]
        root = new_app("")
        importlib.import_module(module).add_to(root, panel)
        return typer.main.get_group(root).commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def lazy_group(modules: Modules) -> type[TyperGroup]:
    """Return the class of a group with these commands."""

    class LazyGroup(TyperGroup):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            # Typer only reads from it once a group is made.
            self.commands: Any = LazyCommands(modules)

    return LazyGroup
