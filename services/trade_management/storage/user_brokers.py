"""Repository of a trade's possible accounts, a projection of operations.controls.v1."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from shared.contracts.controls import UserBrokerChanged
from shared.postgres.hot_path import Answer, ask

APPLY = text("""
-- user_brokers.apply: an older event, read again, changes nothing
INSERT INTO user_brokers AS known (user_broker_id, status, changed_at, entries_held_since, entries_held_reason)
VALUES (:user_broker_id, :status, :changed_at, :entries_held_since, :entries_held_reason)
ON CONFLICT (user_broker_id) DO UPDATE
   SET status = EXCLUDED.status, changed_at = EXCLUDED.changed_at,
       entries_held_since = EXCLUDED.entries_held_since, entries_held_reason = EXCLUDED.entries_held_reason
 WHERE known.changed_at <= EXCLUDED.changed_at
""")
STANDINGS = text("""
-- user_brokers.standings: is_known is null while none is known
SELECT asked.id, known.user_broker_id IS NOT NULL OR CASE WHEN EXISTS (SELECT FROM user_brokers) THEN false END,
       known.entries_held_since, known.entries_held_reason
  FROM unnest(CAST(:user_broker_ids AS text[])) AS asked(id)
  LEFT JOIN user_brokers known ON known.user_broker_id = asked.id
""")


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a trade may be opened at a user broker.

    Attributes
    ----------
    is_known:
        Whether the user broker exists; None while no user broker is known.
    held_since, held_reason:
        Since when and why its entries are held; None: they are not.
    """

    is_known: bool | None
    held_since: datetime | None
    held_reason: str | None


Standings = dict[str, Standing]
"""Standings by user broker."""


class UserBrokerRepository:
    """User brokers of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def apply(self, events: Sequence[UserBrokerChanged]) -> None:
        """Apply the events in their order."""
        for event in events:
            self._connection.execute(APPLY, event.model_dump(exclude={"broker"}))

    def ask_standings(self, user_broker_ids: Collection[str]) -> Answer[Standings]:
        """Ask whether a trade may be opened at each user broker."""
        return ask(self._connection, STANDINGS, {"user_broker_ids": sorted(user_broker_ids)}, _standings)


def _standings(rows: Iterable[tuple[Any, ...]]) -> Standings:
    return {user_broker_id: Standing(*standing) for user_broker_id, *standing in rows}
