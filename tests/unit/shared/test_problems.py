"""Failures of the database over HTTP."""

from __future__ import annotations

import psycopg
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from shared.http import problems


def _answer(error: Exception) -> tuple[int, str]:
    app = FastAPI()
    problems.install(app)

    @app.get("/")
    def fail() -> None:
        raise error

    answer = TestClient(app, raise_server_exceptions=False).get("/")
    assert "secret" not in answer.text
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("SELECT", {}, psycopg.OperationalError("secret")),
        InterfaceError("SELECT", {}, psycopg.InterfaceError("secret")),
        InternalError("SELECT", {}, psycopg.errors.IdleInTransactionSessionTimeout("secret")),
        InternalError("SELECT", {}, psycopg.InternalError("secret"), connection_invalidated=True),
        InternalError("SELECT", {}, psycopg.errors.ReadOnlySqlTransaction("secret")),
        OperationalError("INSERT", {}, psycopg.errors.DiskFull("secret")),
        PoolExhausted("secret"),
    ],
)
def test_a_database_that_does_not_answer_is_503(error: Exception) -> None:
    assert _answer(error) == (503, "unavailable")


def test_our_own_mistake_is_500_and_says_nothing() -> None:
    mistake = InternalError("SELECT", {}, psycopg.errors.InFailedSqlTransaction("secret"))
    assert _answer(mistake) == (500, "internal_error")
