"""A client of plain HTTP loads no certificates, and still trusts no https server; none uses a proxy."""

from __future__ import annotations

import ssl

import pytest

from shared.http.clients import direct


@pytest.mark.parametrize("urls", [("http://a", "https://b"), ("HTTPS://a",), ("https://a/path",)])
def test_one_https_url_means_the_certificates_of_all_authorities(urls: tuple[str, ...]) -> None:
    assert direct(*urls) == {"trust_env": False, "verify": True}


@pytest.mark.parametrize("urls", [(), ("http://127.0.0.1:1",), ("http://https",)])
def test_without_one_no_server_is_trusted(urls: tuple[str, ...]) -> None:
    options = direct(*urls)
    context = options["verify"]
    assert isinstance(context, ssl.SSLContext)
    assert context.get_ca_certs() == []
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert options["trust_env"] is False
