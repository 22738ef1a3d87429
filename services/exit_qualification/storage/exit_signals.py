"""Repository of exit signals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, insert, select

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

    def detected_at(self, signal_id: UUID) -> datetime:
        """Return the time of a signal's detection; every intent has its signal."""
        wanted = select(ExitSignalRow.detected_at).where(ExitSignalRow.signal_id == signal_id)
        return self._connection.execute(wanted).scalar_one()
