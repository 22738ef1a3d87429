"""KiteBrokers: a client of one's own for every thread and user broker, with credentials from the settings."""

from __future__ import annotations

import math
import threading
from functools import partial

from kiteconnect import KiteConnect
from pydantic import BaseModel, ConfigDict, SecretStr, TypeAdapter, ValidationError

from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.orders.brokers.kite.broker import KiteBroker
from services.exit_qualification.orders.brokers.port import BrokerUnavailable
from shared.broker_hosts import BrokerHostRefused, BrokerHosts
from shared.contracts.events import describe
from shared.errors import ConfigurationError
from shared.runtime.health import Health
from shared.settings import Settings

TOKEN_PROBLEM = "the access token is refused: it has expired, or a newer one replaced it"  # noqa: S105  # a text, no password


class Credentials(BaseModel):
    """What proves us to a broker; never logged."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    api_key: str
    access_token: SecretStr


_CREDENTIALS = TypeAdapter(dict[str, Credentials])


class KiteBrokers:
    """Ports to the user brokers that there are credentials for, at hosts that the settings allow."""

    def __init__(
        self, credentials: dict[str, Credentials], hosts: BrokerHosts, timeout_s: float, health: Health
    ) -> None:
        self._credentials = credentials
        self._health = health
        self._hosts = hosts
        self._timeout_s = timeout_s
        self._of_thread = threading.local()

    def port(self, user_broker: UserBroker) -> KiteBroker:
        """The calling thread's port; a new one when the user broker's address has changed.

        Raises
        ------
        BrokerUnavailable
            There are no credentials for it, or its address is not one that they may be sent to.
        """
        ports: dict[tuple[str, str], KiteBroker] = self._of_thread.__dict__.setdefault("ports", {})
        key = (user_broker.user_broker_id, user_broker.root_url)
        if key not in ports:
            ports[key] = self._connect(user_broker)
        return ports[key]

    def _connect(self, user_broker: UserBroker) -> KiteBroker:
        credentials = self._credentials.get(user_broker.user_broker_id)
        if credentials is None:
            raise BrokerUnavailable(f"no credentials for user broker {user_broker.user_broker_id!r}")
        try:
            # The row may have been changed past the API, so its address is checked where credentials meet it.
            self._hosts.require(user_broker.root_url)
        except BrokerHostRefused as error:
            raise BrokerUnavailable(f"user broker {user_broker.user_broker_id!r}: {error}") from error
        client = open_client(user_broker.root_url, credentials, self._timeout_s)
        return KiteBroker(client, partial(self._report_token, f"broker {user_broker.user_broker_id}"))

    def _report_token(self, condition: str, is_taken: bool) -> None:
        if is_taken:
            self._health.remove(condition)
        else:
            self._health.add(condition, math.inf)  # renewed only when the account is asked again
            self._health.problem(condition, TOKEN_PROBLEM)


def open_client(root_url: str, credentials: Credentials, timeout_s: float) -> KiteConnect:
    """A client that sends nothing twice by itself and knows no proxy but a configured one.

    Parameters
    ----------
    timeout_s:
        For connecting, and again for each wait for the answer.
    """
    client = KiteConnect(
        api_key=credentials.api_key,
        access_token=credentials.access_token.get_secret_value(),
        root=root_url,
        timeout=timeout_s,
    )
    client.reqsession.max_redirects = 0  # a redirect 307 would send the order again
    client.reqsession.trust_env = False
    return client


def kite_brokers(settings: Settings, health: Health) -> KiteBrokers:
    """Return the ports that the settings hold credentials for; `health` shows whose access token is refused.

    Raises
    ------
    ConfigurationError
        No credentials are set, or they are not the JSON they should be. Never shows a value.
    """
    if settings.broker_credentials is None:
        raise ConfigurationError("EXITFLOW_BROKER_CREDENTIALS is not set: no order could be sent")
    try:
        credentials = _CREDENTIALS.validate_json(settings.broker_credentials.get_secret_value())
    except ValidationError as error:
        raise ConfigurationError(f"EXITFLOW_BROKER_CREDENTIALS: {describe(error)}") from None
    return KiteBrokers(credentials, BrokerHosts.of(settings.broker_hosts), settings.broker_timeout_s, health)
