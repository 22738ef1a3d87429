"""The command line against real servers."""

from __future__ import annotations

from tests.unit.cli.conftest import exitflow

__all__ = ["exitflow"]
