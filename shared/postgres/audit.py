"""The audit log of a schema: operators' actions, their callers and reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import Connection, text

APPEND = text("""
-- audit_log.append
INSERT INTO audit_log (actor, action, subject, before, after, reason)
VALUES (:actor, :action, :subject, :before, :after, :reason)
""")

Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Act:
    """Who acts, and why."""

    actor: str
    reason: str


def audit(
    connection: Connection, act: Act, action: str, subject: str, before: Facts | None = None, after: Facts | None = None
) -> None:
    """Record an operator's action in the transaction of its effects."""
    entry = {"action": action, "subject": subject, "before": Jsonb(before), "after": Jsonb(after)}
    connection.execute(APPEND, {"actor": act.actor, "reason": act.reason, **entry})
