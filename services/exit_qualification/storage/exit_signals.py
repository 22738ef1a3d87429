"""Repository of exit signals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import Connection, select, text

from services.exit_qualification.domain.exit_signal import ExitSignal
from services.exit_qualification.models import ExitSignalRow
from shared.postgres.hot_path import send

_NAMES = ", ".join(field.name for field in fields(ExitSignal))

INSERT = text(f"""
-- exit_signals.insert: a row for each object
INSERT INTO exit_signals ({_NAMES})
SELECT {_NAMES} FROM json_populate_recordset(CAST(NULL AS exit_signals), CAST(:signals AS json))
""")  # noqa: S608  # the columns of our own mapping


class ExitSignalRepository:
    """Signals of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def insert(self, signals: Sequence[ExitSignal]) -> None:
        """Write new signals; their episodes are new, so conflicts are impossible."""
        if signals:
            send(self._connection, INSERT, {"signals": msgspec.json.encode(signals).decode()})

    def detected_at(self, signal_id: UUID) -> datetime:
        """Return the time of a signal's detection; every intent has its signal."""
        wanted = select(ExitSignalRow.detected_at).where(ExitSignalRow.signal_id == signal_id)
        return self._connection.execute(wanted).scalar_one()
