"""The pages of `docs/reference` as the code makes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from services.contracts.command_reference import command_page
from services.contracts.error_reference import error_page
from services.contracts.event_reference import event_page
from services.contracts.http_reference import http_page
from services.contracts.metric_reference import metric_page
from services.contracts.pages import page, table
from services.contracts.process_reference import process_page
from shared.settings_report import described_settings

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"


def settings_page() -> str:
    """Return the page of all settings."""
    rows = [
        (f"`{each.name}`", "secret" if each.secret else f"`{each.default}`" if each.default else "", each.meaning)
        for each in described_settings()
    ]
    intro = (
        "A process reads each setting from the environment variable of this name. Without the variable it reads a file",
        "of the same name in lower case in the directory `EXITFLOW_SECRETS_DIR`. It refuses unknown settings.",
        "`exitflow settings` shows the values of a process, and the source of each value.",
    )
    return page("Settings", intro, table(("setting", "default", "meaning"), rows))


PAGES: dict[str, Callable[[], str]] = {
    "processes.md": process_page,
    "settings.md": settings_page,
    "cli.md": command_page,
    "metrics.md": metric_page,
    "events.md": event_page,
    "http.md": http_page,
    "errors.md": error_page,
}


def write_pages() -> tuple[str, ...]:
    """Write every page; return their names."""
    REFERENCE.mkdir(parents=True, exist_ok=True)
    for name, content in PAGES.items():
        (REFERENCE / name).write_text(content())
    return tuple(PAGES)
