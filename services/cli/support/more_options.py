"""Options shared by several commands, added to their signatures for Typer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Command = Callable[..., None]
Options = Mapping[str, tuple[Any, Any]]
"""Annotation and default of each option, by the name of its parameter."""
Read = Callable[[dict[str, Any], Mapping[str, Any]], Any]
"""Returns one value for all options of a group, from theirs and from those of the other parameters."""


def with_gathered_options(command: Command, parameter: str, options: Options, read: Read) -> Command:
    """Return `command` with a group of options in place of one parameter, which takes the value read from them."""

    def run(**values: Any) -> None:
        given = {name: values.pop(name) for name in options}
        command(**values, **{parameter: read(given, values)})

    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (annotation, default) in options.items()
    ]
    return _signed(run, command, [each for each in _parameters(command) if each.name != parameter] + added)


def with_more_options(command: Command, added: Sequence[inspect.Parameter]) -> Command:
    """Return `command` with further options in place of its keyword arguments without a name, which take them."""

    def run(**values: Any) -> None:
        command(**values)

    named = [each for each in _parameters(command) if each.kind is not each.VAR_KEYWORD]
    return _signed(run, command, [*named, *added])


def _parameters(command: Command) -> Sequence[inspect.Parameter]:
    return list(inspect.signature(command, eval_str=True).parameters.values())


def _signed(run: Command, command: Command, parameters: Sequence[inspect.Parameter]) -> Command:
    """Return `run` with the name and help of `command`, and these parameters."""
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # read by Typer
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run
