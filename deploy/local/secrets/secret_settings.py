"""Secrets of each process, with least privilege."""

from __future__ import annotations

from deploy.local.postgres.databases import Databases
from deploy.local.secrets.credentials import Credentials
from shared.postgres import roles
from shared.settings import PREFIX

PAPER_BROKER = "paper-broker"
EXIT_API = "exit-api"
EXIT_TICKS = "exit-ticks"
EXIT_ORDERS = "exit-orders"
TRADE_FILLS = "trade-fills"
TRADE_API = "trade-api"
RELAY = "relay"
CONSOLE = "console"
_EXIT_WORKERS = (EXIT_TICKS, EXIT_ORDERS, EXIT_API)
_TRADE_WORKERS = (TRADE_FILLS, TRADE_API)

RELAYS = (RELAY,)
"""They stop after the others, so that what those wrote last is still published."""
WORKERS = (PAPER_BROKER, *_TRADE_WORKERS, *_EXIT_WORKERS, CONSOLE)
SERVICES = (*RELAYS, *WORKERS)

EXIT_DATABASE_URL = f"{PREFIX}EXIT_DATABASE_URL"
TRADE_DATABASE_URL = f"{PREFIX}TRADE_DATABASE_URL"
BROKER_CREDENTIALS = f"{PREFIX}BROKER_CREDENTIALS"
EVENT_SIGNING_KEY = f"{PREFIX}EVENT_SIGNING_KEY"
CONSOLE_SESSION_KEY = f"{PREFIX}CONSOLE_SESSION_KEY"
EXIT_EVENT_KEYS = f"{PREFIX}EXIT_EVENT_KEYS"
TRADE_EVENT_KEYS = f"{PREFIX}TRADE_EVENT_KEYS"


def secret_settings(service: str, databases: Databases, credentials: Credentials) -> dict[str, str]:
    """Return a service's secret settings by environment variable."""
    return {
        **_database_settings(service, databases),
        **_broker_settings(service, credentials),
        **_signature_settings(service, credentials),
        **_console_settings(service, credentials),
    }


def _database_settings(service: str, databases: Databases) -> dict[str, str]:
    """Return a service's database URLs with its role's credentials."""
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
    if service in (EXIT_ORDERS, PAPER_BROKER):
        return {BROKER_CREDENTIALS: credentials.broker_credentials()}
    return {}


def _console_settings(service: str, credentials: Credentials) -> dict[str, str]:
    """Return the console's key for session cookies; it needs no other secret, the operator brings the token."""
    return {CONSOLE_SESSION_KEY: credentials.console_session_key} if service == CONSOLE else {}


def _signature_settings(service: str, credentials: Credentials) -> dict[str, str]:
    """Return the private key for a service's own events, and the public keys of the events it consumes."""
    settings = {}
    if service in _EXIT_WORKERS:
        settings[EVENT_SIGNING_KEY] = credentials.exit_signing_key
    if service in _TRADE_WORKERS:
        settings[EVENT_SIGNING_KEY] = credentials.trade_signing_key
    if service == TRADE_FILLS:
        settings[EXIT_EVENT_KEYS] = credentials.exit_event_keys()
    if service in (EXIT_TICKS, PAPER_BROKER):
        settings[TRADE_EVENT_KEYS] = credentials.trade_event_keys()
    return settings
