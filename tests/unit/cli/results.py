"""The result of a command."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """Exit status, standard output, standard error."""

    status: int
    out: str
    err: str
