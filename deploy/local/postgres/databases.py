"""Where the two schemas of a local stack are, and how each role reaches them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from psycopg import sql
from pydantic import SecretStr
from sqlalchemy.engine import URL, make_url

from deploy.local.postgres.socket import by_socket
from deploy.local.secrets.credentials import Credentials
from shared.errors import ConfigurationError
from shared.postgres import roles
from shared.postgres.connection_limits import KEEPALIVES, TOOLS, LimitedConnection
from shared.postgres.engine import startup_options
from shared.postgres.revisions import EXIT_QUALIFICATION
from shared.settings import Settings

DATABASE = "exitflow"
ANSWER_S = 60.0
"""Longest wait for an answer: a database is copied or dropped file by file."""


@dataclass(frozen=True)
class Databases:
    """The database of each schema, possibly the same one, as its administrator.

    Attributes
    ----------
    socket:
        Directory of the server's socket, for services on its machine; None: they use the network.
    """

    exit_admin_url: str = field(repr=False)
    trade_admin_url: str = field(repr=False)
    passwords: Mapping[str, str] = field(repr=False)
    socket: Path | None = None

    def exit_url(self, role: str) -> str:
        """Return the exit_qualification database's URL for a role."""
        return roles.with_role(self.exit_admin_url, role, self.passwords[role])

    def trade_url(self, role: str) -> str:
        """Return the trade_management database's URL for a role."""
        return roles.with_role(self.trade_admin_url, role, self.passwords[role])

    def service_url(self, history: str, role: str) -> str:
        """Return the URL for a service with a role in the database of one history."""
        url = self.exit_url(role) if history == EXIT_QUALIFICATION else self.trade_url(role)
        return by_socket(url, self.socket)


def embedded_databases(server_admin_url: str, credentials: Credentials, socket: Path | None = None) -> Databases:
    """Return one database of the embedded server for both schemas; services reach it by its socket, if it has one."""
    url = urlsplit(server_admin_url)._replace(path=f"/{DATABASE}").geturl()
    return Databases(url, url, role_passwords(credentials), socket)


def external_databases(settings: Settings, credentials: Credentials) -> Databases | None:
    """Return the configured databases; None if there are none.

    Raises
    ------
    ConfigurationError
        They name one only, or no administrator, or other roles than the migrations give rights to.
    """
    if settings.exit_database_url is None and settings.trade_database_url is None:
        return None
    exit_url = _url(settings.require_exit_database(), roles.EXIT)
    trade_url = _url(settings.require_trade_database(), roles.TRADE)
    if settings.admin_database_url is None:
        raise ConfigurationError(
            "to prepare an external PostgreSQL, EXITFLOW_ADMIN_DATABASE_URL must name one who may create roles"
        )
    admin = make_url(settings.admin_database_url.get_secret_value())
    passwords = {
        **role_passwords(credentials),
        **_chosen(roles.MIGRATOR, settings.migrator_role_password),
        **_chosen(roles.RELAY, settings.relay_role_password),
        roles.EXIT: str(exit_url.password),
        roles.TRADE: str(trade_url.password),
    }
    return Databases(_administered(exit_url, admin), _administered(trade_url, admin), passwords)


def make_database(server_admin_url: str, *, fresh: bool) -> None:
    """Create the embedded stack's database if missing; `fresh`: drop an existing one first."""
    name = sql.Identifier(DATABASE)
    limits = {"options": startup_options(TOOLS.server_settings()), "connect_timeout": TOOLS.connect_s, **KEEPALIVES}
    with LimitedConnection.open(ANSWER_S, server_admin_url, autocommit=True, **limits) as connection:
        if fresh:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
        if found is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(name))


def role_passwords(credentials: Credentials) -> dict[str, str]:
    """Return the password of each role."""
    return {
        roles.MIGRATOR: credentials.migrator_password,
        roles.EXIT: credentials.exit_password,
        roles.TRADE: credentials.trade_password,
        roles.RELAY: credentials.relay_password,
    }


def _chosen(role: str, password: SecretStr | None) -> dict[str, str]:
    return {} if password is None else {role: password.get_secret_value()}


def _url(text: str, role: str) -> URL:
    url = make_url(text)
    if url.username != role or url.password is None:
        raise ConfigurationError(f"the URL of an external database must have role {role} and its password")
    return url


def _administered(url: URL, admin: URL) -> str:
    as_admin = url.set(username=admin.username, password=admin.password)
    return as_admin.render_as_string(hide_password=False)
