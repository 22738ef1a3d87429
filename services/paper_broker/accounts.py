"""Accounts at this broker, one per user broker with credentials in the settings."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from shared.contracts.events import describe
from shared.errors import ConfigurationError
from shared.settings import Settings


class Credentials(BaseModel):
    """Secrets that a client uses to authenticate for an account."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    api_key: str
    api_secret: str
    access_token: str


_CREDENTIALS = TypeAdapter(dict[str, Credentials])


@dataclass(frozen=True, slots=True)
class Account:
    """A client of the broker."""

    user_id: str
    credentials: Credentials


def account_name(user_broker_id: str) -> str:
    """Return the broker's user id of a user broker: ``paper`` becomes ``PAPER``."""
    return user_broker_id.upper()


class Accounts:
    """All accounts, looked up by header or checksum. Secrets are compared in constant time."""

    def __init__(self, accounts: list[Account]) -> None:
        self._accounts = accounts

    def named(self, user_id: str) -> Account | None:
        """Return the account with this user id, or None."""
        return next((account for account in self._accounts if account.user_id == user_id), None)

    def by_header(self, authorization: str) -> Account | None:
        """Return the account of an ``Authorization: token api_key:access_token`` header, or None."""
        return self._matching(authorization, lambda known: f"token {known.api_key}:{known.access_token}")

    def by_checksum(self, api_key: str, token: str, checksum: str) -> Account | None:
        """Return the account with this SHA-256 of api_key + token + api_secret, or None."""

        def expected(known: Credentials) -> str:
            return hashlib.sha256(f"{known.api_key}{token}{known.api_secret}".encode()).hexdigest()

        account = self._matching(checksum, expected)
        return account if account and account.credentials.api_key == api_key else None

    def _matching(self, given: str, expected: Callable[[Credentials], str]) -> Account | None:
        found = None
        for account in self._accounts:
            if hmac.compare_digest(given.encode(), expected(account.credentials).encode()):
                found = account
        return found


def accounts_of(settings: Settings) -> Accounts:
    """Return the accounts described by `settings.broker_credentials`.

    Raises
    ------
    ConfigurationError
        The setting is missing or is not the expected JSON. The message never shows a value.
    """
    if settings.broker_credentials is None:
        raise ConfigurationError("EXITFLOW_BROKER_CREDENTIALS is not set; the paper broker has no accounts")
    try:
        known = _CREDENTIALS.validate_json(settings.broker_credentials.get_secret_value())
    except ValidationError as error:
        raise ConfigurationError(f"EXITFLOW_BROKER_CREDENTIALS: {describe(error)}") from None
    return Accounts([Account(account_name(name), credentials) for name, credentials in known.items()])
