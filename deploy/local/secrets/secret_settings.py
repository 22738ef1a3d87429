"""Secrets of each process, with least privilege."""

from __future__ import annotations

from collections.abc import Callable

from deploy.local.postgres.databases import Databases
from deploy.local.secrets.credentials import Credentials
from shared.postgres.revisions import EXIT_QUALIFICATION, TRADE_MANAGEMENT
from shared.runtime.catalogue import PROCESSES, Secret
from shared.settings import PREFIX

EXIT_DATABASE_URL = f"{PREFIX}EXIT_DATABASE_URL"
TRADE_DATABASE_URL = f"{PREFIX}TRADE_DATABASE_URL"
BROKER_CREDENTIALS = f"{PREFIX}BROKER_CREDENTIALS"
LAST_PRICES_TOKEN = f"{PREFIX}LAST_PRICES_TOKEN"
EXECUTION_TOKEN = f"{PREFIX}EXECUTION_TOKEN"
EVENT_SIGNING_KEY = f"{PREFIX}EVENT_SIGNING_KEY"

_URLS = {EXIT_QUALIFICATION: EXIT_DATABASE_URL, TRADE_MANAGEMENT: TRADE_DATABASE_URL}
_SECRETS: dict[Secret, tuple[str, Callable[[Credentials], str]]] = {
    Secret.BROKER_CREDENTIALS: (BROKER_CREDENTIALS, Credentials.broker_credentials),
    Secret.EXIT_SIGNING_KEY: (EVENT_SIGNING_KEY, lambda credentials: credentials.exit_signing_key),
    Secret.TRADE_SIGNING_KEY: (EVENT_SIGNING_KEY, lambda credentials: credentials.trade_signing_key),
    Secret.EXIT_EVENT_KEYS: (f"{PREFIX}EXIT_EVENT_KEYS", Credentials.exit_event_keys),
    Secret.TRADE_EVENT_KEYS: (f"{PREFIX}TRADE_EVENT_KEYS", Credentials.trade_event_keys),
    Secret.LAST_PRICES_TOKEN: (LAST_PRICES_TOKEN, lambda credentials: credentials.trade_api_token),
    Secret.EXECUTION_TOKEN: (EXECUTION_TOKEN, lambda credentials: credentials.execution_token),
    Secret.CONSOLE_SESSION_KEY: (f"{PREFIX}CONSOLE_SESSION_KEY", lambda credentials: credentials.console_session_key),
    Secret.POSTBACK_SECRETS: (f"{PREFIX}POSTBACK_SECRETS", Credentials.postback_secrets),
}
"""The setting of each secret, and its value."""


def secret_settings(name: str, databases: Databases, credentials: Credentials) -> dict[str, str]:
    """Return a process's secret settings by environment variable."""
    process = PROCESSES[name]
    urls = {_URLS[history]: databases.service_url(history, role) for history, role in process.databases.items()}
    return urls | {_SECRETS[each][0]: _SECRETS[each][1](credentials) for each in process.secrets}
