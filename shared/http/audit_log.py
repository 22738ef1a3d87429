"""Route: the audit log, the same in every API."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Depends
from pydantic import BaseModel, Field

from shared.contracts.exits import Timestamp
from shared.http.auth import Reader
from shared.http.context import ApiContext, context_of
from shared.http.paging import Keyset, PageCursor, PageLimit
from shared.http.routing import api_router
from shared.postgres.audit import AuditEntry, audit_page

router = api_router(tags=["audit"])

Context = Annotated[ApiContext, Depends(context_of)]
_AuditId = Annotated[int, Field(ge=0, le=2**63 - 1)]


def _sort_key(entry: AuditEntry) -> _AuditId:
    return entry.audit_id


ENTRIES = Keyset("audit", _AuditId, _sort_key)


class AuditView(BaseModel):
    """An operator's action: who did what to which subject, why, and the state before and after."""

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
def audit_log(context: Context, _: Reader, cursor: PageCursor = None, limit: PageLimit = 100) -> AuditPage:
    """List the operators' actions on this service, newest first."""
    with context.unit_of_work() as uow:
        found = audit_page(uow.connection, ENTRIES.after(cursor), limit + 1)
    page = ENTRIES.page(found, limit)
    return AuditPage(items=[AuditView(**asdict(entry)) for entry in page.items], next=page.next)
