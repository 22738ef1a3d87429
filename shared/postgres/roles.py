"""PostgreSQL roles: login rights and basic privileges. The migrations hold the table grants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg
from psycopg import sql
from sqlalchemy import Connection
from sqlalchemy.engine import make_url

from shared.postgres.connection_limits import TOOLS
from shared.postgres.engine import open_engine

MIGRATOR = "exitflow_migrator"
EXIT = "exitflow_exit"
TRADE = "exitflow_trade"
RELAY = "exitflow_relay"
ROLES = (MIGRATOR, EXIT, TRADE, RELAY)


def create_roles(admin_url: str, passwords: Mapping[str, str]) -> None:
    """Make the roles, or give existing ones these passwords, and open the URL's database to them.

    Parameters
    ----------
    admin_url:
        A role with the right to create roles, on the database of the schema; run it once for each database.
    passwords:
        A password for each of `ROLES`.
    """
    with _connected(admin_url) as connection:
        for role in ROLES:
            _create(connection, role, passwords[role])
        open_database(connection, str(make_url(admin_url).database))


def open_database(connection: Connection, database: str) -> None:
    """Open a database of the connection's server to these existing roles, and close it to all others."""
    name = sql.Identifier(database)
    everyone = sql.SQL(", ").join(map(sql.Identifier, ROLES))
    _run(connection, sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
    _run(connection, sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(name, everyone))
    _run(connection, sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(name, sql.Identifier(MIGRATOR)))


@contextmanager
def _connected(admin_url: str) -> Iterator[Connection]:
    engine = open_engine(admin_url, "public", application="exitflow-roles", limits=TOOLS)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def _create(connection: Connection, role: str, password: str) -> None:
    exists = connection.exec_driver_sql("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).scalar()
    statement = sql.SQL(
        "{} ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD {}"
    ).format(
        sql.SQL("ALTER" if exists else "CREATE"),
        sql.Identifier(role),
        sql.Literal(_verifier(connection, role, password)),
    )
    _run(connection, statement)


def _verifier(connection: Connection, role: str, password: str) -> str:
    """Return the SCRAM verifier of a password; only this may appear in the server's statement log."""
    driver: psycopg.Connection = connection.connection.driver_connection  # type: ignore[assignment]  # psycopg's own
    return driver.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()


def _run(connection: Connection, statement: sql.Composed) -> None:
    connection.exec_driver_sql(statement.as_string(None))


def with_role(url: str, role: str, password: str) -> str:
    """Return the same database URL for another role."""
    return make_url(url).set(username=role, password=password).render_as_string(hide_password=False)
