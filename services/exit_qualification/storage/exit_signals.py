"""Repository of exit signals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Connection, insert

from services.exit_qualification.models import ExitSignalRow
from shared.contracts.vocabulary import Direction, ExitReason


@dataclass(frozen=True, slots=True)
class ExitSignal:
    """Detected exit of a trade. `detected_price` in rupees, None for a manual exit."""

    signal_id: UUID
    trade_id: UUID
    symbol: str
    direction: Direction
    exit_reason: ExitReason
    episode_id: int
    detected_price: Decimal | None
    detected_at: datetime


class ExitSignalRepository:
    """Signals of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def insert(self, signals: Sequence[ExitSignal]) -> None:
        """Write new signals; their episodes are new, so conflicts are impossible."""
        if signals:
            self._connection.execute(insert(ExitSignalRow), [asdict(signal) for signal in signals])
