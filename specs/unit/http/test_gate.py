"""The gate's table: which Host and Origin come in, and whose forwarded headers are believed."""

from __future__ import annotations

import pytest
from werkzeug.datastructures import Headers

from runtime.problems import OriginNotAllowed
from specs.unit.http.story import verdict
from transports.ingress.http.gate import Gate, Seen

PUBLIC = Gate(
    public_url="https://chat.example.org",
    allowed_hosts=("other.example.org", "third.example.org:444"),
    cors_origins=("https://app.example.org",),
    trusted_proxies=("10.0.0.0/8",),
)


def seen(host: str, *, scheme: str = "http", port: int = 8787) -> Seen:
    return Seen(scheme=scheme, host=host, client="127.0.0.1", port=port)


@pytest.mark.parametrize(
    ("scheme", "host", "port"),
    [
        ("http", "127.0.0.1:8787", 8787),
        ("http", "localhost:8787", 8787),
        ("http", "[::1]:8787", 8787),
        ("http", "localhost", 80),
        ("http", "127.0.0.1", 8787),  # a plain client that leaves the port out
        ("https", "localhost", 443),
        ("https", "chat.example.org", 8787),
        ("http", "other.example.org:9", 8787),
        ("http", "third.example.org:444", 8787),
    ],
)
def test_our_own_names_come_in(scheme: str, host: str, port: int) -> None:
    assert verdict(PUBLIC.check_host, seen(host, scheme=scheme, port=port)) == "let in"


@pytest.mark.parametrize(
    "host",
    [
        "",
        "localhost:8788",
        "evil.example",
        "evil.example:8787",
        "localhost.evil.example:8787",
        "127.0.0.1:8787.evil.example",
        "third.example.org",
        "chat.example.org.evil.example",
        "localhost:8787@evil.example",
    ],
)
def test_another_name_does_not(host: str) -> None:
    assert verdict(PUBLIC.check_host, seen(host)) == "host-not-allowed"


def test_the_bound_address_is_a_name_too() -> None:
    assert verdict(Gate(host="::").check_host, seen("[::]:8787")) == "let in"
    home = Gate(host="192.168.1.5")
    assert verdict(home.check_host, seen("192.168.1.5:8787")) == "let in"


OWN = seen("localhost:8787")


@pytest.mark.parametrize("origin", ["", "http://localhost:8787", "https://chat.example.org"])
def test_our_own_origin_needs_no_cors(origin: str) -> None:
    assert PUBLIC.check_origin(OWN, origin, bearer=False) is None


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "http://localhost",
        "http://localhost:8788",
        "https://localhost:8787",
        "http://127.0.0.1:8787",
        "https://evil.example",
        "https://chat.example.org:444",
        "http://chat.example.org",
    ],
)
def test_a_foreign_origin_is_refused_even_with_a_token(origin: str) -> None:
    with pytest.raises(OriginNotAllowed):
        PUBLIC.check_origin(OWN, origin, bearer=True)


def test_a_listed_origin_is_let_in_with_a_token_only() -> None:
    listed = "https://app.example.org"
    assert PUBLIC.check_origin(OWN, listed, bearer=True) == listed
    with pytest.raises(OriginNotAllowed):
        PUBLIC.check_origin(OWN, listed, bearer=False)


FORWARDED = Headers(
    {
        "Host": "10.0.0.9",
        "X-Forwarded-Host": "evil.example, chat.example.org",
        "X-Forwarded-Proto": "http, https",
        "X-Forwarded-For": "6.6.6.6, 203.0.113.7",
    }
)


def test_a_trusted_proxy_is_believed_in_what_it_added_itself() -> None:
    told = PUBLIC.see(
        scheme="http", headers=FORWARDED, client=("10.1.2.3", 5), server=("10.0.0.9", 8787)
    )
    assert told == Seen(scheme="https", host="chat.example.org", client="203.0.113.7", port=8787)
    assert told.origin == "https://chat.example.org"


def test_nobody_else_is() -> None:
    told = PUBLIC.see(
        scheme="http", headers=FORWARDED, client=("11.1.2.3", 5), server=("10.0.0.9", 8787)
    )
    assert told == Seen(scheme="http", host="10.0.0.9", client="11.1.2.3", port=8787)
