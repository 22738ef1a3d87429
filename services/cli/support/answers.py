"""JSON of another system, perhaps of another version: a missing field is an error with a next step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from shared.errors import ExitflowError


class OtherVersion(ExitflowError):
    """The answer lacks a field read by this version of the command."""

    code = "other_version"


class Fields(dict[str, Any]):
    """JSON object; reading a missing field raises `OtherVersion`."""

    def __init__(self, values: Mapping[str, Any], source: str) -> None:
        super().__init__(values)
        self._source = source

    def __missing__(self, name: str) -> Any:
        raise OtherVersion(
            f"{self._source} has no field {name!r}: it is of another version than this command; "
            "use the `exitflow` of the system's version, or upgrade the system"
        )


def read_answer(text: str | bytes, source: str) -> Any:
    """Return the JSON value, its objects as `Fields`.

    Raises
    ------
    ValueError
        The text is not JSON.
    """
    return json.loads(text, object_hook=partial(Fields, source=source))
