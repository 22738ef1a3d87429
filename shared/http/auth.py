"""Bearer tokens with scopes, kept hashed in ``api_tokens``."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import Connection, Engine, text

from shared.clock import Clock
from shared.errors import Forbidden, Unauthenticated
from shared.http.rate_limits import RateLimiter
from shared.http.slots import run_in_slot


class Scope(StrEnum):
    """The permission of a token."""

    READ = "read"
    TRADE = "trade"
    OPERATE = "operate"
    ADMIN = "admin"
    """Says where orders and credentials go; an operator does not need it."""
    EXECUTE = "execute"
    """Asks for the execution of approved exits, or holds them; only trade management needs it."""


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


KNOWN_S = 2.0
"""Time without a new look-up of a token; a revoked or expired one is accepted for so long."""

MOST_KNOWN = 1_000


class KnownTokens:
    """Callers of tokens found in the database a moment ago, by the token's hash. Unknown tokens are not kept.

    Parameters
    ----------
    clock:
        Its monotonic time counts.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[bytes, tuple[float, Caller]] = {}

    def get(self, hashed: bytes) -> Caller | None:
        """Return the caller of a token looked up less than `KNOWN_S` ago, else None."""
        found = self._known.get(hashed)
        return found[1] if found is not None and self._clock.monotonic() - found[0] < KNOWN_S else None

    def keep(self, hashed: bytes, caller: Caller) -> None:
        """Keep a caller just looked up; forget all others if they are too many."""
        if len(self._known) >= MOST_KNOWN:
            self._known = {}
        self._known[hashed] = self._clock.monotonic(), caller


FIND = text("""
-- api_tokens.find: by hash: the time of comparing does not depend on the secret
SELECT name, scopes FROM api_tokens
 WHERE token_hash = :token_hash AND (expires_at IS NULL OR expires_at > clock_timestamp())
""")
STORE = text("""
-- api_tokens.store
INSERT INTO api_tokens (token_hash, name, scopes) VALUES (:token_hash, :name, :scopes)
ON CONFLICT (name) DO UPDATE SET token_hash = EXCLUDED.token_hash, scopes = EXCLUDED.scopes, expires_at = NULL
""")

BEARER = b"Bearer "
bearer = HTTPBearer(auto_error=False, description="an API token")


def token_hash(token: str) -> bytes:
    """Return the stored form of a token: SHA-256, sufficient for 256 random bits."""
    return hashlib.sha256(token.encode()).digest()


def store_token(connection: Connection, token: str, name: str, scopes: list[Scope]) -> None:
    """Make `token` valid under `name`, replacing an existing one; needs the migrator's role."""
    connection.execute(STORE, {"token_hash": token_hash(token), "name": name, "scopes": [str(s) for s in scopes]})


def authenticate(request: Request, sent: HTTPAuthorizationCredentials | None, scope: Scope) -> Caller:
    """Return the caller of a request, who has `scope`; ask the database even if the token is known.

    Raises
    ------
    Unauthenticated, Forbidden, TooManyRequests
        As `requires` says.
    """
    hashed = _hash_of(sent)
    limiter: RateLimiter = request.app.state.rate_limiter
    limiter.check(hashed)  # before the database is asked
    caller = _find(request.app.state.engine, hashed)
    request.app.state.known_tokens.keep(hashed, caller)
    return _admit(limiter, hashed, caller, scope)


class TokenCheck:
    """Dependency for rejecting callers without a scope; see `requires`."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    async def __call__(
        self, request: Request, sent: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
    ) -> Caller:
        """Return the caller; look the token up unless it is known."""
        known = self._known(request, _hash_of(sent))
        if known is not None:
            return known
        return await run_in_slot(partial(authenticate, request, sent, self._scope))

    def known_caller(self, request: Request, authorization: bytes) -> Caller | None:
        """Return the caller named by an ``Authorization`` header; None if its token is unknown.

        Raises
        ------
        Forbidden, TooManyRequests
            See `requires`.
        """
        if not authorization.startswith(BEARER):
            return None
        return self._known(request, hashlib.sha256(authorization.removeprefix(BEARER)).digest())

    def _known(self, request: Request, hashed: bytes) -> Caller | None:
        """Admit the caller of a recently looked-up token; return None for any other token."""
        known: Caller | None = request.app.state.known_tokens.get(hashed)
        return None if known is None else _admit(request.app.state.rate_limiter, hashed, known, self._scope)


def requires(scope: Scope) -> TokenCheck:
    """Return a dependency for rejecting callers without `scope`.

    The app's ``state.engine`` reads the tokens, ``state.known_tokens`` keeps them, and ``state.rate_limiter`` counts
    their requests.

    Raises
    ------
    Unauthenticated
        No token, or an unknown or expired one.
    Forbidden
        The token lacks the scope.
    TooManyRequests
        The token has used up its requests for now.
    Overloaded
        The token must be looked up, and no connection was free in time.
    """
    return TokenCheck(scope)


def _hash_of(sent: HTTPAuthorizationCredentials | None) -> bytes:
    if sent is None:
        raise Unauthenticated("send an API token: Authorization: Bearer …")
    return token_hash(sent.credentials)


def _admit(limiter: RateLimiter, hashed: bytes, caller: Caller, scope: Scope) -> Caller:
    limiter.spend(hashed)
    caller.require(scope)
    return caller


Reader = Annotated[Caller, Depends(requires(Scope.READ))]
Trader = Annotated[Caller, Depends(requires(Scope.TRADE))]
Operator = Annotated[Caller, Depends(requires(Scope.OPERATE))]
Executor = Annotated[Caller, Depends(requires(Scope.EXECUTE))]


def _find(engine: Engine, hashed: bytes) -> Caller:
    with engine.connect() as connection:
        row = connection.execute(FIND, {"token_hash": hashed}).one_or_none()
    if row is None:
        raise Unauthenticated("the token is unknown or has expired")
    return Caller(row.name, frozenset(row.scopes))
