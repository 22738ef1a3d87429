"""Entry points of the processes."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from shared.errors import ConfigurationError
from shared.runtime.catalogue import PROCESSES
from shared.settings import Settings

if TYPE_CHECKING:  # the help of the command must not load an HTTP server
    from shared.runtime.process import ProcessSpec


def entry_point(name: str) -> Callable[[Settings], None]:
    """Import and return a process's ``main``, so that no process loads another's code.

    Raises
    ------
    ConfigurationError
        No process has that name.
    """
    process = PROCESSES.get(name)
    if process is None:
        raise ConfigurationError(f"no such process: {name}; there are {', '.join(PROCESSES)}")
    spec = cast("ProcessSpec", importlib.import_module(process.module).PROCESS)
    return spec.main
