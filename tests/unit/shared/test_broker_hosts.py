"""Allowed addresses for a broker's access token."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.broker_hosts import DEFAULT_BROKER_HOSTS, BrokerHostRefused, BrokerHosts
from shared.errors import ConfigurationError

HOSTS = BrokerHosts.of("api.kite.trade, broker.example:8443, http://paper-broker:8003, 127.0.0.1, localhost, [::1]")


@pytest.mark.parametrize(
    "root_url",
    [
        "https://api.kite.trade",
        "https://api.kite.trade:443",
        "https://broker.example:8443",
        "http://paper-broker:8003",
        "https://paper-broker:8003",
        "http://127.0.0.1:1",
        "http://localhost:8003",
        "http://[::1]:8003",
    ],
)
def test_hosts_of_the_list_are_allowed(root_url: str) -> None:
    HOSTS.require(root_url)


@pytest.mark.parametrize(
    "root_url",
    [
        "https://evil.example",
        "http://api.kite.trade",
        "https://api.kite.trade.evil.example",
        "https://evil-api.kite.trade",
        "https://broker.example",
        "https://broker.example:9",
        "http://broker.example:8443",
        "http://paper-broker",
        "http://127.0.0.2",
        "https://user@api.kite.trade",
        "https://api.kite.trade@evil.example",
        "https://api.kite.trade:80@evil.example",
        "https://evil.example#@api.kite.trade",
        "https://evil.example\\@api.kite.trade",
        "https://api.kite.trade/path",
        "https://api.kite.trade/",
        "https://API.kite.trade",
        "https://api.kite.trade:0",
        "https://api.kite.trade:65536",
        "ftp://api.kite.trade",
        "api.kite.trade",
        " https://api.kite.trade",
        "https://api.kite.trade\n",
        "",
    ],
)
def test_everything_else_is_refused(root_url: str) -> None:
    with pytest.raises(BrokerHostRefused):
        HOSTS.require(root_url)


@given(
    st.one_of(
        st.text(max_size=60),
        st.builds(
            "{}://{}{}{}".format,
            st.sampled_from(["http", "https", "HTTPS"]),
            st.sampled_from(["", "api.kite.trade", "evil@", "api.kite.trade:1@", "api.kite.trade\\", "\t"]),
            st.sampled_from(["evil.example", "127.0.0.1", "api.kite.trade", "[::1]", ".evil", ""]),
            st.sampled_from(["", ":1", "/x", "?x", "#x", "%2f", "\\x", ":443@evil.example"]),
        ),
    )
)
def test_an_allowed_address_names_a_listed_host_to_every_parser(root_url: str) -> None:
    try:
        HOSTS.require(root_url)
    except BrokerHostRefused:
        return
    parts = urlsplit(root_url)
    assert parts.hostname in {"api.kite.trade", "broker.example", "paper-broker", "127.0.0.1", "localhost", "::1"}
    assert (parts.username, parts.path, parts.query, parts.fragment) == (None, "", "", "")


def test_the_default_is_kites_own_host_and_loopback() -> None:
    hosts = BrokerHosts.of(DEFAULT_BROKER_HOSTS)
    hosts.require("https://api.kite.trade")
    hosts.require("http://127.0.0.1:8003")
    with pytest.raises(BrokerHostRefused):
        hosts.require("https://kite.zerodha.com")


@pytest.mark.parametrize("setting", ["a b", "https://x/y", "x:99999", "*"])
def test_an_entry_that_is_no_host_is_a_configuration_error(setting: str) -> None:
    with pytest.raises(ConfigurationError, match="EXITFLOW_BROKER_HOSTS"):
        BrokerHosts.of(setting)
