"""Parked events, put there and looked at without the relay."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from shared.ids import new_id

PARK = """
INSERT INTO outbox_parked (event_id, shard, id, topic, key, sequence, ce_type, ce_source, ce_subject, ce_time,
                           traceparent, payload, reason, request)
VALUES (%s, hashtextextended(%s, 0) & 63, %s, %s, %s, %s, 'io.exitflow.Happened.v1', '/tests', 's',
        '2026-01-13T00:00:00Z', '00-a-b-01', 'x', %s, %s)
"""


def park(url: str, topic: str, key: str, sequence: int, reason: str = "too large", request: str | None = None) -> UUID:
    """Put an event among the parked ones, as the role in `url`."""
    event_id = new_id()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(PARK, (event_id, key, sequence, topic, key, sequence, reason, request))
    return event_id


def parked_rows(url: str, schema: str = "exit_qualification") -> list[dict[str, Any]]:
    """Every parked event, each key in order."""
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute(f"SELECT * FROM {schema}.outbox_parked ORDER BY topic, key, sequence").fetchall()
