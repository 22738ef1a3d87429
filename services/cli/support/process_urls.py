"""Root URLs of processes: named on the command line, or those of the local stack."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deploy.local.state.data_directory import default_data_dir
from services.cli.support.running_stack import RunningStack
from shared.errors import InvalidInput, NotFound

ProcessOption = Annotated[
    list[str] | None,
    typer.Option("--process", help="NAME=URL of a process to ask; repeatable. By default those of the local stack."),
]


def process_urls(named: list[str] | None, data_dir: Path | None) -> dict[str, str]:
    """Return the URL of each process by name; none where nothing is named and no stack runs.

    Raises
    ------
    InvalidInput
        An entry is not of the form NAME=URL.
    """
    if wrong := [each for each in named or () if "=" not in each]:
        raise InvalidInput(f"--process {wrong[0]}: write NAME=URL, e.g. relay=http://127.0.0.1:8004")
    if named:
        return dict(each.split("=", 1) for each in named)
    try:
        described = RunningStack.running_in(data_dir or default_data_dir()).described
    except NotFound:
        return {}
    return {name: url.removesuffix("/metrics") for name, url in described["metrics"].items()}
