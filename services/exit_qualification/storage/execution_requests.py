"""Requests of trade management to execute exits, told to every exit-orders; nothing of them is stored."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, text

EXECUTION_REQUESTS: Final = "exit_execution_requests"
"""Channel of the requests; a payload names exits, comma separated."""

MOST_IN_REQUEST: Final = 200
"""Exits of a request at most: a payload holds 8,000 bytes."""

TELL = text(f"""
-- execution_requests.tell: only of approved exits
SELECT intent_ids, pg_notify('{EXECUTION_REQUESTS}', array_to_string(intent_ids, ','))
  FROM (SELECT array_agg(intent_id ORDER BY intent_id) AS intent_ids FROM exit_intents
         WHERE intent_id = ANY (CAST(:intent_ids AS uuid[]))
           AND status = 'APPROVED' AND executable AND deleted_at IS NULL) AS approved
 WHERE intent_ids IS NOT NULL
""")  # noqa: S608  # a name of our own


def tell_requests(connection: Connection, intent_ids: Collection[UUID]) -> list[UUID]:
    """Tell exit-orders, when the transaction commits, which exits to execute; return those approved."""
    row = connection.execute(TELL, {"intent_ids": list(intent_ids)}).one_or_none()
    return [] if row is None else list(row.intent_ids)
