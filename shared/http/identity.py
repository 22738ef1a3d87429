"""Route: the caller as the API knows it."""

from __future__ import annotations

from pydantic import BaseModel

from shared.http.auth import Reader
from shared.http.routing import api_router

router = api_router(tags=["identity"])


class IdentityView(BaseModel):
    """Name and scopes of the caller's token."""

    name: str
    scopes: list[str]


@router.get("/whoami")
def whoami(caller: Reader) -> IdentityView:
    """Return the name and scopes of the token of this request."""
    return IdentityView(name=caller.name, scopes=sorted(caller.scopes))
