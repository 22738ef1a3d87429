"""Route: the audit log, the same in every API."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Annotated, Any

from fastapi import Depends, Query
from pydantic import BaseModel, Field

from shared.contracts.exits import Timestamp
from shared.http.auth import Reader
from shared.http.context import ApiContext, context_of
from shared.http.fields import NO_NUL
from shared.http.paging import Keyset, PageCursor, PageLimit
from shared.http.routing import api_router
from shared.postgres.audit import AuditEntry, WantedActs, audit_page

router = api_router(tags=["audit"])

Context = Annotated[ApiContext, Depends(context_of)]
Actor = Annotated[str | None, Query(max_length=200, pattern=NO_NUL, description="only acts of the token of this name")]
Day = Annotated[date | None, Query(description="only of this day in Asia/Kolkata")]
_AuditId = Annotated[int, Field(ge=0, le=2**63 - 1)]


def _sort_key(entry: AuditEntry) -> _AuditId:
    return entry.audit_id


ENTRIES = Keyset("audit", _AuditId, _sort_key)


class AuditView(BaseModel):
    """An operator's action: who, the action, its subject, why, and the state before and after."""

    audit_id: int
    actor: str
    action: str
    subject: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    reason: str
    at: Timestamp


class AuditPage(BaseModel):
    """Page of the audit log, newest first; `next` is the cursor of the next page."""

    items: list[AuditView]
    next: str | None


@router.get("/audit")
def audit_log(
    context: Context,
    _: Reader,
    actor: Actor = None,
    day: Day = None,
    cursor: PageCursor = None,
    limit: PageLimit = 100,
) -> AuditPage:
    """List the operators' actions on this service, newest first."""
    with context.unit_of_work() as uow:
        found = audit_page(uow.connection, WantedActs(actor, day), ENTRIES.after(cursor), limit + 1)
    page = ENTRIES.page(found, limit)
    return AuditPage(items=[AuditView(**asdict(entry)) for entry in page.items], next=page.next)
