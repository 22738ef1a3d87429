"""Accounts at the paper broker: credentials for its process and for exit-orders, and rows in both schemas."""

from __future__ import annotations

import json

import psycopg

from shared.ids import new_secret

INSERT_EXIT = (
    "INSERT INTO exit_qualification.user_brokers (user_broker_id, broker, account, root_url, status)"
    " VALUES (%s, 'kite', %s, %s, 'CONNECTED')"
)
INSERT_TRADE = (
    "INSERT INTO trade_management.user_brokers (user_broker_id, status, changed_at) VALUES (%s, 'CONNECTED', 'epoch')"
)


def account_names(count: int) -> list[str]:
    """Return the names of the user brokers."""
    return [f"bench{n:03d}" for n in range(count)]


def credentials_of(names: list[str]) -> str:
    """Return new credentials for every account, in the format of the setting."""
    fields = ("api_key", "api_secret", "access_token")
    return json.dumps({name: {field: new_secret() for field in fields} for name in names})


def store_accounts(admin_url: str, names: list[str], broker_url: str) -> None:
    """Make the accounts known and connected in both schemas."""
    with psycopg.connect(admin_url) as connection, connection.cursor() as cursor:
        cursor.executemany(INSERT_EXIT, [(name, name.upper(), broker_url) for name in names])
        cursor.executemany(INSERT_TRADE, [(name,) for name in names])
