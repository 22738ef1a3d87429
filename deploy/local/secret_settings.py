"""Which process is told which secret: what it needs to do its work, and no other's."""

from __future__ import annotations

from deploy.local.credentials import Credentials
from deploy.local.databases import Databases
from shared import roles
from shared.settings import PREFIX

PAPER_BROKER = "paper-broker"
EXIT_API = "exit-api"
TRADE_API = "trade-api"
RELAY = "relay"
_EXIT_WORKERS = ("exit-ticks", "exit-orders", EXIT_API)
_TRADE_WORKERS = ("trade-fills", TRADE_API)

RELAYS = (RELAY,)
"""They stop after the others, so that what those wrote last is still published."""
WORKERS = (PAPER_BROKER, *_TRADE_WORKERS, *_EXIT_WORKERS)
SERVICES = (*RELAYS, *WORKERS)

EXIT_DATABASE_URL = f"{PREFIX}EXIT_DATABASE_URL"
TRADE_DATABASE_URL = f"{PREFIX}TRADE_DATABASE_URL"
BROKER_CREDENTIALS = f"{PREFIX}BROKER_CREDENTIALS"


def secret_settings(service: str, databases: Databases, credentials: Credentials) -> dict[str, str]:
    """The settings of a service that hold a secret, by the names of their environment variables."""
    return {**_database_settings(service, databases), **_broker_settings(service, credentials)}


def _database_settings(service: str, databases: Databases) -> dict[str, str]:
    """The databases of a service, with the credentials of its own role."""
    if service in _EXIT_WORKERS:
        return {EXIT_DATABASE_URL: databases.exit_url(roles.EXIT)}
    if service in _TRADE_WORKERS:
        return {TRADE_DATABASE_URL: databases.trade_url(roles.TRADE)}
    if service == RELAY:
        return {
            EXIT_DATABASE_URL: databases.exit_url(roles.RELAY),
            TRADE_DATABASE_URL: databases.trade_url(roles.RELAY),
        }
    return {}


def _broker_settings(service: str, credentials: Credentials) -> dict[str, str]:
    if service in ("exit-orders", EXIT_API, PAPER_BROKER):
        return {BROKER_CREDENTIALS: credentials.broker_credentials()}
    return {}
