"""A client of plain HTTP loads no certificates, and still trusts no https server."""

from __future__ import annotations

import ssl

import pytest

from shared.http.certificates import certificates_for


@pytest.mark.parametrize("urls", [("http://a", "https://b"), ("HTTPS://a",), ("https://a/path",)])
def test_one_https_url_means_the_certificates_of_all_authorities(urls: tuple[str, ...]) -> None:
    assert certificates_for(*urls) is True


@pytest.mark.parametrize("urls", [(), ("http://127.0.0.1:1",), ("http://https",)])
def test_without_one_no_server_is_trusted(urls: tuple[str, ...]) -> None:
    context = certificates_for(*urls)
    assert isinstance(context, ssl.SSLContext)
    assert context.get_ca_certs() == []
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
