"""The reference page of all error codes, from their classes."""

from __future__ import annotations

import importlib
import pkgutil
from collections import defaultdict
from collections.abc import Iterator, Sequence

import services
import shared
from services.contracts.pages import page, table
from shared.errors import ExitflowError


def error_page() -> str:
    """Return the page of every error code, by code."""
    _import_all()
    intro = (
        "A code stands in a problem+json answer, in the header `dlq_code` of a dead letter and in the log.",
        "Codes are stable; messages are not. Retry where the table says so (`some`: if the answer says `retryable`),",
        "and wait as long as `Retry-After` says.",
    )
    by_code = defaultdict(list)
    for error in _family(ExitflowError):
        by_code[error.code].append(error)
    rows = [_row(code, by_code[code]) for code in sorted(by_code)]
    return page("Errors", intro, table(("code", "HTTP", "retry", "meaning"), rows))


def _row(code: str, errors: Sequence[type[ExitflowError]]) -> tuple[str, str, str, str]:
    """Return one row for all errors of a code; "some" of them may be retried if their answer says so."""
    retryable = {error.retryable for error in errors}
    retry = "some" if len(retryable) > 1 else "yes" if True in retryable else ""
    meaning = " ".join(dict.fromkeys(map(_meaning, errors)))
    return f"`{code}`", ", ".join(sorted({str(error.http_status) for error in errors})), retry, meaning


def _import_all() -> None:
    """Import every module with errors."""
    for package in (shared, services):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)


def _family(error: type[ExitflowError]) -> Iterator[type[ExitflowError]]:
    """Yield the error and its subclasses, but no class of a test."""
    if error.__module__.startswith(("shared.", "services.")):
        yield error
    for each in error.__subclasses__():
        yield from _family(each)


def _meaning(error: type[ExitflowError]) -> str:
    """Return the first sentence of the error's docstring; the base class stands for everything unforeseen."""
    if error is ExitflowError:
        return "An unforeseen failure; the log of the process has its traceback."
    return (error.__doc__ or "").strip().split("\n\n", 1)[0]
