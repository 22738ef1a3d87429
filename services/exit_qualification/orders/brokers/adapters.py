"""BrokerAdapters: chooses the adapter of a user broker by the name of its broker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, assert_never

from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.orders.brokers.kite.clients import kite_brokers
from services.exit_qualification.orders.brokers.port import BrokerNotSupported, BrokerPort, Brokers
from services.exit_qualification.orders.brokers.registry import Broker
from shared.runtime.health import Health
from shared.settings import Settings


class Adapter(Brokers, Protocol):
    """The ports of one broker."""

    def forget_refused_token(self, user_broker_id: str) -> None:
        """Take back the refusal of an account's access token; nothing if it was not refused."""
        ...


class BrokerAdapters:
    """Ports to the accounts at every supported broker."""

    def __init__(self, adapters: Mapping[str, Adapter]) -> None:
        """Use one adapter for each broker, by the name of the broker."""
        self._adapters = adapters

    def port(self, user_broker: UserBroker) -> BrokerPort:
        """Return the calling thread's port to a user broker.

        Raises
        ------
        BrokerNotSupported
            There is no adapter for its broker.
        BrokerUnavailable
            The adapter cannot serve this account.
        """
        adapter = self._adapters.get(user_broker.broker)
        if adapter is None:
            raise BrokerNotSupported(
                f"user broker {user_broker.user_broker_id!r} is at broker {user_broker.broker!r}, which is not "
                f"supported: use one of {', '.join(sorted(self._adapters))}"
            )
        return adapter.port(user_broker)

    def forget_refused_token(self, user_broker_id: str) -> None:
        """Take back the refusal of an account's access token, whatever broker it is at."""
        for adapter in self._adapters.values():
            adapter.forget_refused_token(user_broker_id)


def open_adapters(settings: Settings, health: Health) -> BrokerAdapters:
    """Return every adapter, with the credentials from the settings.

    Raises
    ------
    ConfigurationError
        No credentials are set, or they cannot be read.
    """
    return BrokerAdapters({broker.value: _open(broker, settings, health) for broker in Broker})


def _open(broker: Broker, settings: Settings, health: Health) -> Adapter:
    match broker:
        case Broker.KITE:
            return kite_brokers(settings, health)
        case _:
            assert_never(broker)
