"""The reference page of all error codes, from their classes."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import services
import shared
from services.contracts.pages import page, table
from shared.errors import ExitflowError


def error_page() -> str:
    """Return the page of every error code, by code."""
    _import_all()
    intro = (
        "A code stands in a problem+json answer, in the header `dlq_code` of a dead letter and in the log.",
        "Codes are stable; messages are not. Retry where the table says so, and wait as long as `Retry-After` says.",
    )
    rows = sorted(
        (f"`{error.code}`", str(error.http_status), "yes" if error.retryable else "", _first_sentence(error))
        for error in _family(ExitflowError)
    )
    return page("Errors", intro, table(("code", "HTTP", "retry", "meaning"), rows))


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


def _first_sentence(error: type[ExitflowError]) -> str:
    return (error.__doc__ or "").strip().split("\n\n", 1)[0]
