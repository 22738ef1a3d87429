"""Where the two schemas are found, by their services and by whoever may do everything with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy.engine import make_url

from services.cli.support.running_stack import RunningStack
from shared.errors import ConfigurationError
from shared.postgres.revisions import EXIT_QUALIFICATION, HISTORIES, TRADE_MANAGEMENT
from shared.postgres.roles import EXIT, MIGRATOR, RELAY, ROLES, TRADE, with_role
from shared.settings import PREFIX, Settings, load_settings

_DATABASE_SETTINGS = frozenset({"exit_database_url", "trade_database_url"})


def chosen_databases(data_dir: Path | None, histories: Iterable[str] = HISTORIES) -> dict[str, str]:
    """Return the database of each of these histories, for the migrator or the administrator.

    Choose those of `data_dir`'s stack if given; else those in the settings; else those of the default stack.

    Raises
    ------
    ConfigurationError
        The settings name one database and leave out another.
    NotFound
        No stack runs in the named directory, or in the default one if it is needed.
    """
    settings = load_settings()
    stack = stack_with_databases(data_dir, settings)
    if stack is None:
        return {history: migrator_url(settings, history) for history in histories}
    urls = administered_stack(stack.described)
    return {history: urls[history] for history in histories}


def service_databases(data_dir: Path | None) -> dict[str, str]:
    """Return the same databases for their services' roles, or for the user in the settings.

    Raises
    ------
    ConfigurationError, NotFound
        As `chosen_databases` does.
    """
    settings = load_settings()
    stack = stack_with_databases(data_dir, settings)
    if stack is None:
        return {
            EXIT_QUALIFICATION: settings.require_exit_database(),
            TRADE_MANAGEMENT: settings.require_trade_database(),
        }
    described = stack.described
    return {EXIT_QUALIFICATION: described["exit_database_url"], TRADE_MANAGEMENT: described["trade_database_url"]}


def stack_with_databases(data_dir: Path | None, settings: Settings) -> RunningStack | None:
    """Return the stack with the databases of a command; None if the settings name the databases.

    Raises
    ------
    NotFound
        No stack runs in the named directory, or in the default one if it is needed.
    """
    return RunningStack.chosen(data_dir, settings, _DATABASE_SETTINGS)


def migrator_url(settings: Settings, history: str) -> str:
    """Return a history's configured URL, for the migrator if its password is set, else unchanged.

    Raises
    ------
    ConfigurationError
        The settings do not name the database.
    """
    url = {EXIT_QUALIFICATION: settings.require_exit_database, TRADE_MANAGEMENT: settings.require_trade_database}
    password = settings.migrator_role_password
    return with_role(url[history](), MIGRATOR, password.get_secret_value()) if password else url[history]()


def administered_urls(settings: Settings) -> list[str]:
    """Return every database for the schemas, as the administrator, without duplicates.

    Raises
    ------
    ConfigurationError
        No administrator is named, or a URL cannot be read.
    """
    admin = settings.admin_database()
    if admin is None:
        raise ConfigurationError(f"{PREFIX}ADMIN_DATABASE_URL is not set; set it to an administrator's URL")
    named = [settings.require_exit_database()] if settings.exit_database_url else []
    named += [settings.require_trade_database()] if settings.trade_database_url else []
    return sorted({as_administrator(url, admin) for url in named}) or [admin]


def role_passwords(settings: Settings) -> dict[str, str]:
    """Return the password of each role.

    Raises
    ------
    ConfigurationError
        One is not set.
    """
    of_role = {
        MIGRATOR: (settings.migrator_role_password, "MIGRATOR_ROLE_PASSWORD"),
        EXIT: (settings.exit_role_password, "EXIT_ROLE_PASSWORD"),
        TRADE: (settings.trade_role_password, "TRADE_ROLE_PASSWORD"),
        RELAY: (settings.relay_role_password, "RELAY_ROLE_PASSWORD"),
    }
    return {role: _needed(*of_role[role]) for role in ROLES}


def administered_stack(stack: Mapping[str, Any]) -> dict[str, str]:
    """Return each history's database of a running stack, as its administrator."""
    admin = stack["admin_database_url"]
    return {
        EXIT_QUALIFICATION: as_administrator(stack["exit_database_url"], admin),
        TRADE_MANAGEMENT: as_administrator(stack["trade_database_url"], admin),
    }


def as_administrator(url: str, admin_url: str) -> str:
    """Return the same database with the administrator's credentials."""
    admin = make_url(admin_url)
    return with_role(url, str(admin.username), str(admin.password or ""))


def _needed(secret: SecretStr | None, name: str) -> str:
    if secret is None:
        raise ConfigurationError(f"{PREFIX}{name} is not set; set it to the role's future password")
    return secret.get_secret_value()
