"""The audit log of a schema: operators' actions, their callers and reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import Connection, text

APPEND = text("""
-- audit_log.append
INSERT INTO audit_log (actor, action, subject, before, after, reason)
VALUES (:actor, :action, :subject, :before, :after, :reason)
""")

PAGE = text("""
-- audit_log.page: newest first
SELECT audit_id, actor, action, subject, before, after, reason, at FROM audit_log
 WHERE (CAST(:before_id AS bigint) IS NULL OR audit_id < :before_id)
   AND (CAST(:actor AS text) IS NULL OR actor = :actor)
   AND (CAST(:day AS date) IS NULL OR CAST(at AT TIME ZONE 'Asia/Kolkata' AS date) = :day)
 ORDER BY audit_id DESC LIMIT :limit
""")

Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Act:
    """Who acts, and why."""

    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A recorded action with the state of its subject before and after."""

    audit_id: int
    actor: str
    action: str
    subject: str
    before: Facts | None
    after: Facts | None
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class WantedActs:
    """Actions by whom, and of which trading day; None means any."""

    actor: str | None = None
    day: date | None = None


def audit_page(connection: Connection, wanted: WantedActs, before_id: int | None, limit: int) -> list[AuditEntry]:
    """Return at most `limit` actions older than `before_id`, newest first."""
    given = {"actor": wanted.actor, "day": wanted.day, "before_id": before_id, "limit": limit}
    return [AuditEntry(**row._mapping) for row in connection.execute(PAGE, given)]


def audit(
    connection: Connection, act: Act, action: str, subject: str, before: Facts | None = None, after: Facts | None = None
) -> None:
    """Record an operator's action in the transaction of its effects."""
    entry = {"action": action, "subject": subject, "before": Jsonb(before), "after": Jsonb(after)}
    connection.execute(APPEND, {"actor": act.actor, "reason": act.reason, **entry})
