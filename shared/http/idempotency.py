"""``Idempotency-Key``: the same key gets the same answer, stored in the transaction of its effects."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Header
from fastapi.responses import JSONResponse
from psycopg.types.json import Jsonb
from pydantic import BaseModel
from sqlalchemy import Connection, text

from shared.errors import IdempotencyConflict
from shared.http.conflicts import ConcurrentRequest
from shared.outbox.unit_of_work import UnitOfWork
from shared.postgres.hot_path import Answer, ask, fetch
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
-- idempotency_keys.claim: waits for another transaction with the same key
INSERT INTO idempotency_keys (scope, key, request_hash) VALUES (:scope, :key, :request_hash)
ON CONFLICT (scope, key) DO NOTHING
RETURNING key
""")
KEEP = text("""
-- idempotency_keys.keep
UPDATE idempotency_keys SET response_status = :status, response_body = :body WHERE scope = :scope AND key = :key
""")
FIND_ALL = text("""
-- idempotency_keys.find_all
SELECT k.scope, k.key, k.request_hash, k.response_status, k.response_body
  FROM unnest(CAST(:scopes AS text[]), CAST(:keys AS text[])) AS i(scope, key)
  JOIN idempotency_keys k ON k.scope = i.scope AND k.key = i.key
""")
KEEP_ALL = text("""
-- idempotency_keys.keep_all: in order; waits for another transaction with the same key
INSERT INTO idempotency_keys (scope, key, request_hash, response_status, response_body)
SELECT scope, key, request_hash, :status, CAST(body AS jsonb)
  FROM unnest(CAST(:scopes AS text[]), CAST(:keys AS text[]), CAST(:hashes AS bytea[]), CAST(:bodies AS text[]))
         AS i(scope, key, request_hash, body)
 ORDER BY scope, key
ON CONFLICT (scope, key) DO NOTHING
RETURNING key
""")


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """Key of a request within its scope, and the hash of its body."""

    scope: str
    key: str
    hashed: bytes

    @property
    def place(self) -> tuple[str, str]:
        """Return the scope and key; each pair has one answer."""
        return self.scope, self.key


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """Answer of an earlier request."""

    hashed: bytes
    status: int
    body: dict[str, Any]

    def to(self, request: KeyedRequest) -> JSONResponse | IdempotencyConflict:
        """Return the answer to a request with the same key; an error if its body is another one."""
        if self.hashed != request.hashed:
            return IdempotencyConflict("this Idempotency-Key came before with another body")
        return JSONResponse(self.body, status_code=self.status, headers={"Idempotent-Replay": "true"})


StoredAnswers = dict[tuple[str, str], StoredAnswer]
"""Answers by scope and key."""


def ask_answers(connection: Connection, requests: Sequence[KeyedRequest]) -> Answer[StoredAnswers]:
    """Ask for the answers of earlier requests."""
    places = {"scopes": [each.scope for each in requests], "keys": [each.key for each in requests]}
    return ask(connection, FIND_ALL, places, _stored)


def _stored(rows: Iterable[tuple[Any, ...]]) -> StoredAnswers:
    return {(scope, key): StoredAnswer(bytes(hashed), status, body) for scope, key, hashed, status, body in rows}


def keep_answers(connection: Connection, status: int, answers: Mapping[KeyedRequest, str]) -> Answer[None]:
    """Store JSON answers in the transaction of their effects.

    The returned answer raises `ConcurrentRequest` if another transaction stored an answer to one of the keys first.
    """
    columns = {
        "scopes": [each.scope for each in answers],
        "keys": [each.key for each in answers],
        "hashes": [each.hashed for each in answers],
        "bodies": list(answers.values()),
    }

    def require_all(rows: Sequence[tuple[Any, ...]]) -> None:
        if len(rows) < len(answers):
            raise ConcurrentRequest("a request with the same Idempotency-Key was committed first")

    return ask(connection, KEEP_ALL, columns | {"status": status}, require_all)


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
        The operation with the caller's name, to keep callers out of each other's keys.
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
        earlier = _earlier_answer(uow, KeyedRequest(scope, key, request_hash(body)))
        if earlier is not None:
            return earlier
    content = act()
    if key is not None:
        fetch(uow.connection, KEEP, {"scope": scope, "key": key, "status": status, "body": Jsonb(content)})
    failpoint(Failpoint.API_BEFORE_COMMIT)
    uow.commit()
    failpoint(Failpoint.API_AFTER_COMMIT)
    return JSONResponse(content, status_code=status)


def _earlier_answer(uow: UnitOfWork, request: KeyedRequest) -> JSONResponse | None:
    """Claim a key, or return its stored answer."""
    claim = {"scope": request.scope, "key": request.key, "request_hash": request.hashed}
    if fetch(uow.connection, CLAIM, claim):
        return None
    earlier = ask_answers(uow.connection, [request]).get()[request.place].to(request)
    if isinstance(earlier, IdempotencyConflict):
        raise earlier
    return earlier
