"""Hosts allowed to receive brokers' access tokens; the settings list them, not the database."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Self

from shared.errors import ConfigurationError, InvalidInput

LOOPBACK = "127.0.0.1,localhost,[::1]"
DEFAULT_BROKER_HOSTS = f"api.kite.trade,{LOOPBACK}"

_ADDRESS = re.compile(
    r"((?P<scheme>https?)://)?(?P<host>[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(:(?P<port>[0-9]{1,5}))?"
)
"""Lower case and nothing else: two programs can never read one address in two ways."""


class BrokerHostRefused(InvalidInput):
    """A broker address outside the list of allowed hosts."""

    code = "broker_host_refused"


@dataclass(frozen=True, slots=True)
class _Address:
    scheme: str | None
    host: str
    port: int | None


@dataclass(frozen=True, slots=True)
class BrokerHosts:
    """The hosts allowed by the settings.

    An entry is ``host`` or ``host:port``. Plain HTTP is allowed on loopback and for entries beginning with ``http://``;
    every other address needs https.
    """

    entries: tuple[_Address, ...]

    @classmethod
    def of(cls, setting: str) -> Self:
        """Read the setting EXITFLOW_BROKER_HOSTS.

        Raises
        ------
        ConfigurationError
            An entry is no host.
        """
        entries = []
        for entry in filter(None, (part.strip() for part in setting.split(","))):
            address = _read(entry)
            if address is None:
                raise ConfigurationError(f"EXITFLOW_BROKER_HOSTS: {entry!r} is not host, host:port or http://host:port")
            entries.append(address)
        return cls(tuple(entries))

    def require(self, root_url: str) -> None:
        """Raise unless access tokens may be sent to this address.

        Raises
        ------
        BrokerHostRefused
            The host is not on the list, or https is needed.
        """
        address = _read(root_url)
        if address is None or address.scheme is None:
            raise BrokerHostRefused(
                "root_url must be http(s)://host or http(s)://host:port in lower case, without user, path or query"
            )
        listed = [entry for entry in self.entries if _covers(entry, address)]
        if not listed:
            raise BrokerHostRefused(f"host {address.host!r} is not on the list of the setting EXITFLOW_BROKER_HOSTS")
        if address.scheme != "https" and not any(_allows_plain_http(entry) for entry in listed):
            raise BrokerHostRefused(f"host {address.host!r} needs https")


def _read(text: str) -> _Address | None:
    found = _ADDRESS.fullmatch(text)
    if found is None:
        return None
    port = None if found["port"] is None else int(found["port"])
    if port is not None and not 0 < port < 65_536:
        return None
    return _Address(found["scheme"], found["host"], port)


def _covers(entry: _Address, address: _Address) -> bool:
    return entry.host == address.host and entry.port in (None, address.port)


def _allows_plain_http(entry: _Address) -> bool:
    return entry.scheme == "http" or entry.host == "localhost" or _is_loopback(entry.host)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
