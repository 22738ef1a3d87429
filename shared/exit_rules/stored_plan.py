"""Plans read from storage for their rules alone; they were validated before they were stored.

Validating a plan costs five times its reading: too much for a load of a million trades. The shape follows
from the fields of `ExitPlan`: a rule has its fields in one place.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, cast, get_args, get_origin

import msgspec
from pydantic import BaseModel

from shared.exit_rules.plan import ExitPlan


@cache
def _struct_of(model: type[BaseModel]) -> type[msgspec.Struct]:
    fields = model.model_fields.items()
    required = [(name, _type_of(field.annotation)) for name, field in fields if field.is_required()]
    optional = [(name, _type_of(field.annotation), field.default) for name, field in fields if not field.is_required()]
    return msgspec.defstruct(f"Stored{model.__name__}", [*required, *optional], frozen=True)


def _type_of(annotation: Any) -> Any:
    """Return the plain type of a field: without conditions, already checked when the plan was stored."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type_of(parts[0])
    if origin is Literal:
        return str
    if origin in (Union, UnionType):
        kinds = {_type_of(part) for part in parts}
        return str if str in kinds else Union[tuple(kinds)]  # noqa: UP007  # built from parts
    if origin is tuple:
        return tuple[_type_of(parts[0]), ...]  # type: ignore[misc]  # built at run time
    if origin is dict:
        return dict[_type_of(parts[0]), _type_of(parts[1])]  # type: ignore[misc]  # built at run time
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _struct_of(annotation)
    return annotation


_decode: Final[Callable[[str], Any]] = msgspec.json.Decoder(_struct_of(ExitPlan)).decode


def read_stored(text: str) -> ExitPlan:
    """Return a plan without methods for `start_rules` and `leg_quantities`; they read only its fields.

    Raises
    ------
    msgspec.MsgspecError
        The text is no stored plan.
    """
    return cast(ExitPlan, _decode(text))
