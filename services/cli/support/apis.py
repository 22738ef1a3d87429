"""Clients of the APIs for commands."""

from __future__ import annotations

from pathlib import Path

from services.cli.support.api_client import ApiClient
from services.cli.support.connection import Target


def exit_api(data_dir: Path | None) -> ApiClient:
    """Return a client of the configured exit-api."""
    target = Target.choose(data_dir)
    return ApiClient(target.exit_api, target.token)


def trade_api(data_dir: Path | None) -> ApiClient:
    """Return a client of the configured trade-api."""
    target = Target.choose(data_dir)
    return ApiClient(target.trade_api, target.token)
