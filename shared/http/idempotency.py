"""``Idempotency-Key``: the same key gets the same answer, stored in the transaction of its effects."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Header
from fastapi.responses import JSONResponse
from psycopg.types.json import Jsonb
from pydantic import BaseModel
from sqlalchemy import text

from shared.errors import IdempotencyConflict
from shared.outbox.unit_of_work import UnitOfWork
from shared.postgres.hot_path import fetch
from shared.runtime.failpoints import Failpoint, failpoint

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[!-~]+$",
        description="makes a retry safe: the same key gets the same answer; visible ASCII characters",
    ),
]

CLAIM = text("""
-- idempotency_keys.claim: waits for a transaction that holds the same key
INSERT INTO idempotency_keys (scope, key, request_hash) VALUES (:scope, :key, :request_hash)
ON CONFLICT (scope, key) DO NOTHING
RETURNING key
""")
FIND = text("""
-- idempotency_keys.find
SELECT request_hash, response_status, response_body FROM idempotency_keys WHERE scope = :scope AND key = :key
""")
KEEP = text("""
-- idempotency_keys.keep
UPDATE idempotency_keys SET response_status = :status, response_body = :body WHERE scope = :scope AND key = :key
""")


def request_hash(body: BaseModel) -> bytes:
    """Return the SHA-256 of the parsed body; it distinguishes requests."""
    return hashlib.sha256(body.model_dump_json().encode()).digest()


def answer_once(
    uow: UnitOfWork,
    *,
    scope: str,
    key: str | None,
    body: BaseModel,
    status: int,
    act: Callable[[], dict[str, Any]],
) -> JSONResponse:
    """Run `act` and commit, or return the stored answer of `key`.

    Parameters
    ----------
    uow:
        Entered, with nothing done in it yet; `act` works in it, this function commits it.
    scope:
        The operation, with the caller's name, so that callers cannot meet each other's keys.
    key:
        The caller's key; without one the call is simply made.
    status:
        The HTTP status of a success.
    act:
        Does the work and returns the body of the answer, JSON-safe.

    Raises
    ------
    IdempotencyConflict
        The key came before, with another body.
    """
    if key is not None:
        earlier = _earlier_answer(uow, scope, key, request_hash(body))
        if earlier is not None:
            return earlier
    content = act()
    if key is not None:
        fetch(uow.connection, KEEP, {"scope": scope, "key": key, "status": status, "body": Jsonb(content)})
    failpoint(Failpoint.API_BEFORE_COMMIT)
    uow.commit()
    failpoint(Failpoint.API_AFTER_COMMIT)
    return JSONResponse(content, status_code=status)


def _earlier_answer(uow: UnitOfWork, scope: str, key: str, hashed: bytes) -> JSONResponse | None:
    parameters = {"scope": scope, "key": key}
    if fetch(uow.connection, CLAIM, {**parameters, "request_hash": hashed}):
        return None
    ((known_hash, status, body),) = fetch(uow.connection, FIND, parameters)
    if bytes(known_hash) != hashed:
        raise IdempotencyConflict("this Idempotency-Key came before with another body")
    return JSONResponse(body, status_code=status, headers={"Idempotent-Replay": "true"})
