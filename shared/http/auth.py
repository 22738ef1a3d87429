"""Bearer tokens with scopes, kept hashed in ``api_tokens``."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import Connection, Engine, text

from shared.errors import Forbidden, Unauthenticated
from shared.http.rate_limits import RateLimiter


class Scope(StrEnum):
    """The permission of a token."""

    READ = "read"
    TRADE = "trade"
    OPERATE = "operate"
    ADMIN = "admin"
    """Says where orders and credentials go; an operator does not need it."""


@dataclass(frozen=True)
class Caller:
    """The authenticated caller: the token's name and its scope."""

    name: str
    scopes: frozenset[str]

    def require(self, scope: Scope) -> None:
        """Raise unless the caller's token has `scope`.

        Raises
        ------
        Forbidden
            It does.
        """
        if scope not in self.scopes:
            raise Forbidden(f"this needs a token with scope {scope.value}")


FIND = text("""
-- api_tokens.find: by hash, so that comparing takes no time that depends on the secret
SELECT name, scopes FROM api_tokens
 WHERE token_hash = :token_hash AND (expires_at IS NULL OR expires_at > clock_timestamp())
""")
STORE = text("""
-- api_tokens.store
INSERT INTO api_tokens (token_hash, name, scopes) VALUES (:token_hash, :name, :scopes)
ON CONFLICT (name) DO UPDATE SET token_hash = EXCLUDED.token_hash, scopes = EXCLUDED.scopes, expires_at = NULL
""")

bearer = HTTPBearer(auto_error=False, description="an API token")


def token_hash(token: str) -> bytes:
    """Return the stored form of a token: SHA-256, sufficient for 256 random bits."""
    return hashlib.sha256(token.encode()).digest()


def store_token(connection: Connection, token: str, name: str, scopes: list[Scope]) -> None:
    """Make `token` valid under `name`, replacing an existing one; needs the migrator's role."""
    connection.execute(STORE, {"token_hash": token_hash(token), "name": name, "scopes": [str(s) for s in scopes]})


def requires(scope: Scope) -> Callable[..., Caller]:
    """Return a dependency that rejects callers without `scope`.

    The app's ``state.engine`` reads the tokens; its ``state.rate_limiter`` counts their requests.

    Raises
    ------
    Unauthenticated
        No token, or one that is not known or has expired.
    Forbidden
        The token lacks the scope.
    TooManyRequests
        The token has used up its requests for now.
    """

    def check(request: Request, sent: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> Caller:
        if sent is None:
            raise Unauthenticated("send an API token: Authorization: Bearer …")
        limiter: RateLimiter = request.app.state.rate_limiter
        hashed = token_hash(sent.credentials)
        limiter.check(hashed)  # before the database is asked
        caller = _find(request.app.state.engine, hashed)
        limiter.spend(hashed)
        caller.require(scope)
        return caller

    return check


Reader = Annotated[Caller, Depends(requires(Scope.READ))]
Trader = Annotated[Caller, Depends(requires(Scope.TRADE))]
Operator = Annotated[Caller, Depends(requires(Scope.OPERATE))]


def _find(engine: Engine, hashed: bytes) -> Caller:
    with engine.connect() as connection:
        row = connection.execute(FIND, {"token_hash": hashed}).one_or_none()
    if row is None:
        raise Unauthenticated("the token is not known or has expired")
    return Caller(row.name, frozenset(row.scopes))
