"""Order updates posted by Kite (postbacks): their checksum tells the account. Hints, never the truth."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError

from shared.contracts.events import describe
from shared.contracts.trades import UserBrokerId
from shared.errors import ConfigurationError

_SECRETS = TypeAdapter(dict[UserBrokerId, Annotated[str, Field(min_length=1)]])


class KitePostback(BaseModel):
    """Fields read of an order update; not its status and fills: the order book tells them."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    order_id: str = Field(min_length=1, max_length=64)
    order_timestamp: str = Field(min_length=1, max_length=64)
    checksum: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of order_id + order_timestamp + api_secret")
    tag: str | None = Field(None, max_length=64)

    def checksum_of(self, api_secret: str) -> str:
        """Return the checksum sent by the holder of a secret."""
        return hashlib.sha256(f"{self.order_id}{self.order_timestamp}{api_secret}".encode()).hexdigest()


class PostbackSecrets:
    """API secrets by user broker, compared in constant time."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._secrets = secrets

    @classmethod
    def of(cls, setting: SecretStr | None) -> Self:
        """Return the secrets of a setting; without it there are none, and every update is refused.

        Raises
        ------
        ConfigurationError
            It is not the expected JSON. The message never shows a value.
        """
        if setting is None:
            return cls({})
        try:
            return cls(_SECRETS.validate_json(setting.get_secret_value()))
        except ValidationError as error:
            raise ConfigurationError(f"EXITFLOW_POSTBACK_SECRETS: {describe(error)}") from None

    def sender_of(self, update: KitePostback) -> str | None:
        """Return the user broker with the secret of the checksum; None for a forged update."""
        found = None
        for user_broker_id, secret in self._secrets.items():
            if hmac.compare_digest(update.checksum, update.checksum_of(secret)):
                found = user_broker_id
        return found
