"""Local stack behind a command."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from deploy.local.state.data_directory import DataDirectory, default_data_dir
from deploy.local.state.stack_file import read_stack_file
from services.cli.support.answers import Fields
from shared.errors import NotFound
from shared.settings import PREFIX, Settings


@dataclass(frozen=True)
class RunningStack:
    """Running local stack: its directory, and the content of its ``stack.json``."""

    data_dir: Path
    described: dict[str, Any] = field(repr=False)

    @classmethod
    def chosen(cls, data_dir: Path | None, settings: Settings, named_by: Set[str]) -> Self | None:
        """Return the stack of `data_dir` if given; None if one of the settings `named_by` is set; else the default one.

        Raises
        ------
        NotFound
            No stack runs in the named directory, or in the default one if it is needed.
        """
        if data_dir is not None:
            return cls.running_in(data_dir)
        if settings.model_fields_set & named_by:
            return None
        try:
            return cls.running_in(default_data_dir())
        except NotFound as error:
            names = ", ".join(sorted(PREFIX + name.upper() for name in named_by))
            raise NotFound(f"{error}; --data-dir names another stack; {names} name another system") from error

    @classmethod
    def running_in(cls, data_dir: Path) -> Self:
        """Return the stack of a directory.

        Raises
        ------
        NotFound
            No stack runs there.
        """
        file = DataDirectory(data_dir).stack_file
        return cls(data_dir, Fields(read_stack_file(file), str(file)))
