"""Secrets of a containerized system: created once, with separate files for each service.

Every service has a directory with file names as in `shared.settings`: the directory can be its
EXITFLOW_SECRETS_DIR.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, field_validator

from deploy.local.kafka.security import ADMIN, BrokerCertificate, KafkaSecurity, new_certificate
from deploy.local.postgres.databases import Databases
from deploy.local.secrets.credentials import Credentials
from deploy.local.secrets.private_files import write_private
from deploy.local.secrets.secret_settings import (
    BROKER_CREDENTIALS,
    EXECUTION_TOKEN,
    EXIT_DATABASE_URL,
    LAST_PRICES_TOKEN,
    TRADE_DATABASE_URL,
    secret_settings,
)
from shared.errors import ConfigurationError
from shared.ids import new_secret
from shared.kafka.rights import OPERATOR, RIGHTS
from shared.postgres import roles
from shared.runtime.catalogue import PROCESSES
from shared.settings import PREFIX

GROUP_READABLE = 0o440

KAFKA_HOSTS = ("kafka", "localhost", "127.0.0.1")

PUBLIC_TOKEN = f"{PREFIX}PUBLIC_TOKEN"
ADMIN_DATABASE_URL = f"{PREFIX}ADMIN_DATABASE_URL"
_PASSWORDS = {
    roles.MIGRATOR: f"{PREFIX}MIGRATOR_ROLE_PASSWORD",
    roles.EXIT: f"{PREFIX}EXIT_ROLE_PASSWORD",
    roles.TRADE: f"{PREFIX}TRADE_ROLE_PASSWORD",
    roles.RELAY: f"{PREFIX}RELAY_ROLE_PASSWORD",
}

Files = dict[str, str]


class ContainerCredentials(Credentials):
    """Credentials of a local stack, plus those of the monitoring containers."""

    kafka_admin_password: str = Field(default_factory=new_secret, repr=False)
    kafka_passwords: dict[str, str] = Field(default_factory=dict, validate_default=True, repr=False)
    kafka_certificate: BrokerCertificate = Field(default_factory=lambda: new_certificate(KAFKA_HOSTS), repr=False)
    metrics_token: str = Field(default_factory=new_secret, repr=False)
    grafana_password: str = Field(default_factory=new_secret, repr=False)

    @field_validator("kafka_passwords")
    @classmethod
    def every_user_has_one(cls, kept: dict[str, str]) -> dict[str, str]:
        """Keep existing credentials and create missing ones."""
        return {user: kept.get(user) or new_secret() for user in RIGHTS}

    def kafka_security(self) -> KafkaSecurity:
        """Return the broker's secrets."""
        return KafkaSecurity(self.kafka_certificate, self.kafka_admin_password)


def secret_files(databases: Databases, credentials: ContainerCredentials) -> dict[str, Files]:
    """Return each service's files: names and content."""
    token = {PUBLIC_TOKEN: credentials.operator_token}
    as_migrator = {
        EXIT_DATABASE_URL: databases.exit_url(roles.MIGRATOR),
        TRADE_DATABASE_URL: databases.trade_url(roles.MIGRATOR),
    }
    settings = {
        **{
            service: secret_settings(service, databases, credentials) | _of_kafka_user(service, credentials)
            for service in PROCESSES
        },
        "roles": _of_roles(databases),
        "schema": {
            **as_migrator,
            **token,
            LAST_PRICES_TOKEN: credentials.trade_api_token,
            EXECUTION_TOKEN: credentials.execution_token,
        },
        "topics": _of_kafka_admin(credentials),
        "check": {
            **as_migrator,
            BROKER_CREDENTIALS: credentials.broker_credentials(),
            **_of_kafka_user(OPERATOR, credentials),
        },
        "tools": {**token, **_of_kafka_user("market-data", credentials)},
    }
    return {
        **{service: {name.lower(): value for name, value in own.items()} for service, own in settings.items()},
        "kafka": credentials.kafka_security().files(),
        "postgres": {"postgres_password": credentials.postgres_password},
        "prometheus": {"metrics_token": credentials.metrics_token},
        "grafana": {"admin_password": credentials.grafana_password},
    }


def _of_kafka_user(user: str, credentials: ContainerCredentials) -> dict[str, str]:
    """Return a process's credentials for Kafka; empty for a process without a user."""
    if user not in RIGHTS:
        return {}
    return _kafka_login(user, credentials.kafka_passwords[user], credentials)


def _of_kafka_admin(credentials: ContainerCredentials) -> dict[str, str]:
    return {
        **_kafka_login(ADMIN, credentials.kafka_admin_password, credentials),
        f"{PREFIX}KAFKA_USERS": json.dumps(credentials.kafka_passwords),
    }


def _kafka_login(user: str, password: str, credentials: ContainerCredentials) -> dict[str, str]:
    return {
        f"{PREFIX}KAFKA_USERNAME": user,
        f"{PREFIX}KAFKA_PASSWORD": password,
        f"{PREFIX}KAFKA_CA": credentials.kafka_certificate.ca,
    }


def _of_roles(databases: Databases) -> dict[str, str]:
    return {
        ADMIN_DATABASE_URL: databases.exit_admin_url,
        # They only name the databases; the administrator's credentials are put in their place.
        EXIT_DATABASE_URL: databases.exit_url(roles.EXIT),
        TRADE_DATABASE_URL: databases.trade_url(roles.TRADE),
        **{setting: databases.passwords[role] for role, setting in _PASSWORDS.items()},
    }


def lay_out(files: Mapping[str, Files], directory: Path) -> list[str]:
    """Write each service's files below `directory`, readable by owner and group; return the changed ones.

    Raises
    ------
    ConfigurationError
        A service has no directory there, or it cannot be written to.
    """
    changed = []
    for service, own in files.items():
        for name, text in own.items():
            file = directory / service / name
            try:
                if _differs(file, text):
                    write_private(file, text, GROUP_READABLE)
                    changed.append(f"{service}/{name}")
            except OSError as error:
                raise ConfigurationError(f"cannot write {file}: {error.strerror}") from error
    return changed


def _differs(file: Path, text: str) -> bool:
    return not file.exists() or file.read_text() != text


def named_broker_credentials(setting: str, user_broker_id: str) -> dict[str, str]:
    """Return one user broker's credentials from the combined setting.

    Raises
    ------
    ConfigurationError
        It is not among them.
    """
    found = json.loads(setting).get(user_broker_id)
    if not isinstance(found, dict):
        raise ConfigurationError(f"{BROKER_CREDENTIALS} has none for {user_broker_id}")
    return found
