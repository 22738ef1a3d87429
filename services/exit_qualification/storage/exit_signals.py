"""Repository of exit signals."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, select

from services.exit_qualification.models import ExitSignalRow


class ExitSignalRepository:
    """Signals of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def detected_at(self, signal_id: UUID) -> datetime:
        """Return the time of a signal's detection; every intent has its signal."""
        wanted = select(ExitSignalRow.detected_at).where(ExitSignalRow.signal_id == signal_id)
        return self._connection.execute(wanted).scalar_one()
