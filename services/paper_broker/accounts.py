"""Accounts at this broker, one per user broker with credentials in the settings."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from shared.contracts.events import describe
from shared.errors import ConfigurationError
from shared.settings import Settings


class Credentials(BaseModel):
    """Secrets of a client for authenticating for an account."""

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

    @property
    def refresh_token(self) -> str:
        """Return the token for renewing a session: the same at every log-in, as the access token."""
        known = self.credentials
        return _digest(f"refresh {known.api_key}:{known.api_secret}").hex()[:32]


def account_name(user_broker_id: str) -> str:
    """Return the broker's user id of a user broker: ``paper`` becomes ``PAPER``."""
    return user_broker_id.upper()


class Accounts:
    """All accounts. A header is looked up by its SHA-256: the time taken tells nothing of a secret."""

    def __init__(self, accounts: list[Account]) -> None:
        self._by_user_id = {account.user_id: account for account in accounts}
        self._by_header = {_digest(_header(account.credentials)): account for account in accounts}

    def named(self, user_id: str) -> Account | None:
        """Return the account with this user id, or None."""
        return self._by_user_id.get(user_id)

    def by_header(self, authorization: str) -> Account | None:
        """Return the account of an ``Authorization: token api_key:access_token`` header, or None."""
        return self._by_header.get(_digest(authorization))

    def by_refresh_token(self, api_key: str, token: str) -> Account | None:
        """Return the account with this refresh token, or None."""
        found = None
        for account in self._by_user_id.values():
            if hmac.compare_digest(token.encode(), account.refresh_token.encode()):
                found = account if account.credentials.api_key == api_key else found
        return found

    def by_checksum(self, api_key: str, token: str, checksum: str) -> Account | None:
        """Return the account with this SHA-256 of api_key + token + api_secret, or None."""
        found = None
        for account in self._by_user_id.values():
            known = account.credentials
            expected = hashlib.sha256(f"{known.api_key}{token}{known.api_secret}".encode()).hexdigest()
            if hmac.compare_digest(checksum.encode(), expected.encode()) and known.api_key == api_key:
                found = account
        return found


def _header(credentials: Credentials) -> str:
    return f"token {credentials.api_key}:{credentials.access_token}"


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


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
