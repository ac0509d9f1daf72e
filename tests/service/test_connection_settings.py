"""Origins and addresses are put into the form in which they are compared, or refused with what to give instead."""

from typing import Any

import pytest
from pydantic import ValidationError

from service.settings import ServiceSettings


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("https://example.org", "https://example.org"),
        ("https://example.org/", "https://example.org"),
        ("HTTPS://Example.ORG:443", "https://example.org"),
        ("http://example.org:80/", "http://example.org"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://[::1]:3000/", "http://[::1]:3000"),
        ("*", "*"),
        ("null", "null"),
    ],
)
def test_an_origin_is_named_as_browsers_name_it(given: str, meant: str) -> None:
    assert ServiceSettings(cors_origins=given).cors_origins == (meant,)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("https://example.org/shop", "give https://example.org"),
        ("https://example.org/?page=1", "give https://example.org"),
        ("example.org", "like https://example.org, or * for all"),
        ("example.org:8080", "like https://example.org, or * for all"),
        ("//example.org", "like https://example.org, or * for all"),
        ("ftp://example.org", "like https://example.org, or * for all"),
        ("https://*.example.org", "like https://example.org, or * for all"),
        ("https://me@example.org", "like https://example.org, or * for all"),
        ("https://example.org:99999", "give one like https://example.org"),
        ("https://", "like https://example.org, or * for all"),
    ],
)
def test_what_no_browser_sends_is_refused(given: str, told: str) -> None:
    with pytest.raises(ValidationError, match=r"no origin|more than an origin") as raised:
        ServiceSettings(cors_origins=f"https://first.example, {given}")
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"forwarded_allow_ips": "proxy.example"}, "'proxy.example' does not appear to be an IPv4 or IPv6 network"),
        ({"forwarded_allow_ips": "10.0.0.1/8"}, "has host bits set"),
        ({"root_path": "images"}, "should match pattern"),
        ({"root_path": "//images"}, "should match pattern"),
        ({"tls_key": "key.pem"}, "needs a --tls-certificate"),
        ({"keep_alive_s": 0}, "greater than 0"),
    ],
)
def test_nor_is_anything_else_that_cannot_be_meant(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as raised:
        ServiceSettings(**given)
    assert told in str(raised.value)
