"""The secrets of one local stack, made once and kept in its data directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deploy.local.secrets.private_files import write_private
from shared.errors import ConfigurationError
from shared.ids import new_secret
from shared.outbox.signatures import new_signing_key, signer_of

PAPER = "paper"
"""The one user broker of a local stack."""


class Credentials(BaseModel):
    """Every secret; a field added later is made when an older file is read."""

    model_config = ConfigDict(frozen=True)

    postgres_password: str = Field(default_factory=new_secret, repr=False)
    migrator_password: str = Field(default_factory=new_secret, repr=False)
    exit_password: str = Field(default_factory=new_secret, repr=False)
    trade_password: str = Field(default_factory=new_secret, repr=False)
    relay_password: str = Field(default_factory=new_secret, repr=False)
    operator_token: str = Field(default_factory=new_secret, repr=False)
    console_session_key: str = Field(default_factory=new_secret, repr=False)
    trade_api_token: str = Field(default_factory=new_secret, repr=False)
    execution_token: str = Field(default_factory=new_secret, repr=False)
    broker_api_key: str = Field(default_factory=new_secret, repr=False)
    broker_api_secret: str = Field(default_factory=new_secret, repr=False)
    broker_access_token: str = Field(default_factory=new_secret, repr=False)

    exit_signing_key: str = Field(default_factory=new_signing_key, repr=False)
    trade_signing_key: str = Field(default_factory=new_signing_key, repr=False)

    @classmethod
    def of(cls, file: Path) -> Self:
        """Read the file's credentials; create missing ones and write the file (mode 600).

        Raises
        ------
        ConfigurationError
            The file cannot be read or written, or holds something else.
        """
        try:
            kept = cls.model_validate_json(file.read_text()) if file.exists() else cls()
            write_private(file, kept.model_dump_json(indent=2))
        except OSError as error:
            raise ConfigurationError(f"cannot keep secrets in {file}: {error.strerror}") from error
        except ValidationError:
            raise ConfigurationError(f"{file} does not hold the secrets of a stack") from None
        return kept

    def exit_event_keys(self) -> str:
        """Return the public key trusted for exit qualification's events."""
        return signer_of(self.exit_signing_key, "exit_signing_key").public_pem()

    def trade_event_keys(self) -> str:
        """Return the public key trusted for trade management's events."""
        return signer_of(self.trade_signing_key, "trade_signing_key").public_pem()

    def broker_credentials(self) -> str:
        """Return the paper broker's account in the setting's format."""
        return json.dumps(
            {
                PAPER: {
                    "api_key": self.broker_api_key,
                    "api_secret": self.broker_api_secret,
                    "access_token": self.broker_access_token,
                }
            }
        )

    def postback_secrets(self) -> str:
        """Return the secret for signing the paper account's order updates, in the setting's format."""
        return json.dumps({PAPER: self.broker_api_secret})
