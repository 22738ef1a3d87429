"""Options shared by several commands, added to their signatures for Typer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any


def with_more_options(
    command: Callable[..., None],
    run: Callable[..., Any],
    added: Sequence[inspect.Parameter],
    *,
    instead_of: str | None = None,
) -> Callable[..., None]:
    """Return `run` with the name, help and parameters of `command`, and the added ones.

    Parameters
    ----------
    run:
        Takes all values as keyword arguments and calls `command`.
    instead_of:
        The parameter of `command` for `run`'s result from the added ones. Keyword arguments without a name are left out
        too.
    """
    signature = inspect.signature(command, eval_str=True)
    own = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
    parameters = [*(each for each in own if each.name != instead_of), *added]
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run
