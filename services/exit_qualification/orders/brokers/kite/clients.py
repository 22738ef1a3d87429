"""Kite clients of each user broker, with credentials from the settings."""

from __future__ import annotations

import math
import threading
from functools import partial
from typing import Any

from kiteconnect import KiteConnect
from pydantic import BaseModel, ConfigDict, SecretStr, TypeAdapter, ValidationError

from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.orders.brokers.kite.broker import KiteBroker
from services.exit_qualification.orders.brokers.kite.session import KiteSession
from services.exit_qualification.orders.brokers.port import BrokerUnavailable
from shared.broker_hosts import BrokerHostRefused, BrokerHosts
from shared.contracts.events import describe
from shared.errors import ConfigurationError
from shared.runtime.health import Health
from shared.settings import Settings

TOKEN_PROBLEM = "the access token was refused: it has expired or was replaced; set a new one"  # noqa: S105  # a text, no password


class Credentials(BaseModel):
    """Secrets for our authentication at a broker; never logged."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    api_key: str
    access_token: SecretStr


_CREDENTIALS = TypeAdapter(dict[str, Credentials])


class KiteBrokers:
    """Ports to the user brokers with credentials, at hosts allowed by the settings."""

    def __init__(
        self, credentials: dict[str, Credentials], hosts: BrokerHosts, timeout_s: float, health: Health
    ) -> None:
        self._credentials = credentials
        self._health = health
        self._hosts = hosts
        self._timeout_s = timeout_s
        self._ports: dict[str, tuple[str, KiteBroker]] = {}
        self._lock = threading.Lock()

    def port(self, user_broker: UserBroker) -> KiteBroker:
        """Return the account's port; create a new one if the user broker's address has changed.

        Raises
        ------
        BrokerUnavailable
            The broker has no credentials, or its address is not allowed.
        """
        with self._lock:
            root_url, port = self._ports.get(user_broker.user_broker_id, (None, None))
            if port is None or root_url != user_broker.root_url:
                port = self._connect(user_broker)
                self._ports[user_broker.user_broker_id] = user_broker.root_url, port
            return port

    def _connect(self, user_broker: UserBroker) -> KiteBroker:
        credentials = self._credentials.get(user_broker.user_broker_id)
        if credentials is None:
            raise BrokerUnavailable(
                f"no credentials for user broker {user_broker.user_broker_id!r}; "
                "add them to EXITFLOW_BROKER_CREDENTIALS"
            )
        try:
            # The row may have been changed without the API, so check its address before sending credentials.
            self._hosts.require(user_broker.root_url)
        except BrokerHostRefused as error:
            raise BrokerUnavailable(f"user broker {user_broker.user_broker_id!r}: {error}") from error
        make_client = partial(open_client, user_broker.root_url, credentials, self._timeout_s)
        return KiteBroker(make_client, partial(self._report_token, _condition(user_broker.user_broker_id)))

    def forget_refused_token(self, user_broker_id: str) -> None:
        """Take back the refusal of an account's access token; `health` shows it again at the next refusal."""
        self._health.remove(_condition(user_broker_id))

    def _report_token(self, condition: str, is_taken: bool) -> None:
        if is_taken:
            self._health.remove(condition)
        else:
            self._health.add(condition, math.inf)  # updated only by the account's next response
            self._health.problem(condition, TOKEN_PROBLEM)


def _condition(user_broker_id: str) -> str:
    return f"broker {user_broker_id}"


class PlainKite(KiteConnect):  # type: ignore[misc]  # the client has no types
    """The official client without its conversion of times.

    It converts every time in every row of a book, also of foreign orders, and fails at the first odd one.
    """

    def _format_response(self, data: Any) -> Any:
        return data


def open_client(root_url: str, credentials: Credentials, timeout_s: float) -> KiteConnect:
    """Return a client of one account with its session.

    Parameters
    ----------
    timeout_s:
        Limit for connecting, and for the whole answer.
    """
    client = PlainKite(
        api_key=credentials.api_key,
        access_token=credentials.access_token.get_secret_value(),
        root=root_url,
        timeout=timeout_s,
    )
    client.reqsession = KiteSession(root_url, timeout_s)
    return client


def kite_brokers(settings: Settings, health: Health) -> KiteBrokers:
    """Return the ports for the credentials in the settings; `health` shows refused access tokens.

    Raises
    ------
    ConfigurationError
        No credentials are set, or they are not the expected JSON. The message never shows a value.
    """
    if settings.broker_credentials is None:
        raise ConfigurationError("EXITFLOW_BROKER_CREDENTIALS is not set; no order can be sent without it")
    try:
        credentials = _CREDENTIALS.validate_json(settings.broker_credentials.get_secret_value())
    except ValidationError as error:
        raise ConfigurationError(f"EXITFLOW_BROKER_CREDENTIALS: {describe(error)}") from None
    return KiteBrokers(credentials, BrokerHosts.of(settings.broker_hosts), settings.broker_timeout_s, health)
