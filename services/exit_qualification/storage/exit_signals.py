"""Repository of exit signals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, insert

from services.exit_qualification.domain.exit_signal import ExitSignal
from services.exit_qualification.models import ExitSignalRow


class ExitSignalRepository:
    """Signals of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def insert(self, signals: Sequence[ExitSignal]) -> None:
        """Write new signals; their episodes are new, so conflicts are impossible."""
        if signals:
            self._connection.execute(insert(ExitSignalRow), [asdict(signal) for signal in signals])
