"""The options of an exit plan, made from the exit rules: a rule brings its own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

import typer

from services.cli.support.more_options import with_more_options
from shared.exit_rules.registry import RULES
from shared.exit_rules.rule import PlanOption


def with_plan_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of every rule; it takes their values as keyword arguments, see `plan_of`."""
    return with_more_options(command, [_parameter(option) for option in plan_options()])


def plan_options() -> Iterator[PlanOption]:
    """Yield the options of all rules, highest rank first."""
    for rule in RULES:
        yield from rule.options


def plan_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the exit plan as JSON, from the given options."""
    plan: dict[str, Any] = {}
    for option in plan_options():
        value = values[_name(option)]
        if value is None:
            continue
        place = plan
        for step in option.path[:-1]:
            place = place.setdefault(step, {})
        place[option.path[-1]] = _read(option, value)
    return plan


def plan_fields() -> list[str]:
    """Return the fields of a plan set by options."""
    return list(dict.fromkeys(option.path[0] for option in plan_options()))


def _read(option: PlanOption, value: Any) -> Any:
    if option.read is None:
        return value
    try:
        return option.read(value)
    except ValueError as error:
        raise typer.BadParameter(f"--{option.flag}: {error}") from error


def _name(option: PlanOption) -> str:
    return option.flag.replace("-", "_")


def _parameter(option: PlanOption) -> inspect.Parameter:
    shown = typer.Option(f"--{option.flag}", help=option.help, rich_help_panel="Exit plan")
    kind: Any = option.kind
    parts = kind | None, shown
    annotation = Annotated[parts]  # type: ignore[valid-type]  # made at run time
    return inspect.Parameter(_name(option), inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
