"""Cases whose decision lies in the world round a URL: names, redirects, lists, proxies, bad lines.

A row is what the case is about, the case as `runchat egress check --json` reads it, and the answer:
an address that is dialled, or the rule that blocks.
"""

from __future__ import annotations

from typing import Any

from specs.unit.egress.corpus_of_redirects import HOME, META, REDIRECTS, A, B, C, Row, hops


def name(*addresses: Any, url: str = "http://n.test/", **more: Any) -> dict[str, Any]:
    return {"url": url, "dns": {"n.test": list(addresses)}, **more}


def exempt(url: str, *entries: str, dns: Any = None, **policy: Any) -> dict[str, Any]:
    return {"url": url, "dns": dns or {}, "policy": {"allowedAddresses": list(entries), **policy}}


def listed(url: str, *entries: str, address: str = A, **more: Any) -> dict[str, Any]:
    host = url.partition("://")[2].partition("/")[0].partition(":")[0].lower()
    return {
        "url": url,
        "dns": {host: [address]},
        "policy": {"allowedDomains": list(entries)},
    } | more


def turning(*turns: list[str], url: str = "http://t.test/", **more: Any) -> dict[str, Any]:
    return {"url": url, "dns_sequence": {"t.test": list(turns)}, **more}


NAMES: tuple[Row, ...] = (
    ("a public address", name(A), A),
    ("a public address of the sixth version", name(C), C),
    ("several public ones: the first is dialled", name(A, B, C), A),
    ("over TLS", name(A, url="https://n.test/"), A),
    ("a name in capitals", name(A, url="http://N.TEST/"), A),
    ("a dot at the end", name(A, url="http://n.test./"), A),
    ("a known name with a dot", {"url": "http://n.test/", "dns": {"N.test.": [A]}}, A),
    ("another script", {"url": "http://b\u00fc.test/", "dns": {"b\u00fc.test": [A]}}, A),
    ("its ASCII form", {"url": "http://b\u00fc.test/", "dns": {"xn--b-eha.test": [A]}}, A),
    ("one answer as a string", {"url": "http://n.test/", "dns": {"n.test": A}}, A),
    ("a mapped public answer", name("::ffff:8.8.8.8"), "::ffff:8.8.8.8"),
    ("a private answer", name("10.0.0.1"), "private"),
    ("loopback", name("127.0.0.1"), "loopback"),
    ("loopback over TLS", name("127.0.0.1", url="https://n.test/"), "loopback"),
    ("metadata", name(META), "metadata"),
    ("metadata in public space", name("168.63.129.16"), "metadata"),
    ("carrier-grade NAT", name("100.64.0.1"), "shared"),
    ("this network", name("0.0.0.0"), "this-network"),  # noqa: S104
    ("broadcast", name("255.255.255.255"), "broadcast"),
    ("loopback of the sixth version", name("::1"), "loopback"),
    ("unique local", name("fd00::1"), "unique-local"),
    ("link local", name("fe80::1"), "link-local"),
    ("site local", name("fec0::1"), "site-local"),
    ("mapped loopback", name("::ffff:127.0.0.1"), "loopback"),
    ("mapped in hex", name("::ffff:7f00:1"), "loopback"),
    ("NAT64 of metadata", name("64:ff9b::a9fe:a9fe"), "metadata"),
    ("6to4 of a private one", name("2002:a00:1::"), "private"),
    ("Teredo of loopback", name("2001:0:808:808::80ff:fffe"), "loopback"),
    ("SIIT", name("::ffff:0:7f00:1"), "translation"),
    ("documentation", name("2001:db8::1"), "documentation"),
    ("multicast", name("224.0.0.1"), "multicast"),
    ("public, then private", name(A, "10.0.0.1"), "private"),
    ("private, then public", name("192.168.0.1", A), "private"),
    ("many public ones and one that is not", name(*[A] * 20, "127.0.0.1"), "loopback"),
    ("both versions, one private", name(A, "fd00::1"), "unique-local"),
    ("both versions, mapped", name(C, "::ffff:10.0.0.1"), "private"),
    ("no answer", name(), "dns"),
    ("an unknown name", {"url": "http://n.test/", "dns": {}}, "dns"),
    ("no resolver at all", {"url": "http://n.test/"}, "dns"),
    ("only a longer name known", {"url": "http://n.test/", "dns": {"a.n.test": [A]}}, "dns"),
    ("only a shorter name known", {"url": "http://a.n.test/", "dns": {"n.test": [A]}}, "dns"),
    ("an answer that is a name", name("other.test"), "dns"),
    ("an answer in decimal", name("2130706433"), "dns"),
    ("an answer in octal", name("0177.0.0.1"), "dns"),
    ("a short answer", name("127.1"), "dns"),
    ("an answer with a zone", name("fe80::1%eth0"), "dns"),
    ("a public answer with a zone", name(f"{C}%eth0"), "dns"),
    ("an answer in brackets", name(f"[{C}]"), "dns"),
    ("an answer with a port", name(f"{A}:80"), "dns"),
    ("an empty answer", name(""), "dns"),
    ("a good and a meaningless answer", name(A, "x"), "dns"),
    ("a number as an answer", name(2130706433), "dns"),
    ("nothing as an answer", {"url": "http://n.test/", "dns": {"n.test": None}}, "dns"),
    ("a number in a name that is private", name("10.0.0.1", url="http://n.test:443/"), "private"),
)

TURNS: tuple[Row, ...] = (
    ("public, then loopback: one look-up", turning([A], ["127.0.0.1"]), A),
    ("public, then metadata, over TLS", turning([A], [META], url="https://t.test/"), A),
    ("public, then the sixth version's loopback", turning([C], ["::1"]), C),
    ("public, then nothing", turning([A], []), A),
    ("loopback, then public", turning(["127.0.0.1"], [A]), "loopback"),
    ("mixed at first", turning([A, "10.0.0.1"], [A]), "private"),
    ("nothing, then public", turning([], [A]), "dns"),
    ("no turn at all", turning(), "dns"),
    ("turned at the redirect to itself", turning([A], [META], redirects=[[302, "/x"]]), "metadata"),
    (
        "turned, by its whole name",
        turning([A], ["::1"], redirects=[[302, "//t.test/"]]),
        "loopback",
    ),
    ("turned to another public one", turning([A], [B], redirects=[[302, "/x"]]), B),
    ("turned at the third hop", turning([A], [A], [META], redirects=[[302, "/"]] * 2), "metadata"),
    ("turned too late", turning([A], [B], [META], redirects=[[302, "/"]]), B),
    ("the last turn stays", turning([A], redirects=[[307, "/"]] * 3), A),
    (
        "a sequence goes before an answer",
        turning(["127.0.0.1"], dns={"t.test": [A]}),
        "loopback",
    ),
)

EXEMPTED: tuple[Row, ...] = (
    ("loopback and its port", exempt("http://127.0.0.1:11434/v1", "127.0.0.1:11434"), "127.0.0.1"),
    ("a private address", exempt("http://10.0.0.5:8000/", "10.0.0.5:8000"), "10.0.0.5"),
    ("over TLS", exempt("https://10.0.0.5:8443/", "10.0.0.5:8443"), "10.0.0.5"),
    ("the usual port", exempt("http://10.0.0.5/", "10.0.0.5:80"), "10.0.0.5"),
    ("the sixth version", exempt("http://[::1]:8080/", "[::1]:8080"), "::1"),
    ("spelt at length", exempt("http://[::1]:8080/", "[0:0:0:0:0:0:0:1]:8080"), "::1"),
    (
        "this machine's name",
        exempt("http://localhost:3000/", "localhost:3000", dns={"localhost": ["127.0.0.1"]}),
        "127.0.0.1",
    ),
    (
        "a name inside",
        exempt(
            "http://mcp.internal:8000/", "mcp.internal:8000", dns={"mcp.internal": ["10.0.0.9"]}
        ),
        "10.0.0.9",
    ),
    (
        "a name in capitals",
        exempt(
            "http://MCP.internal:8000/", "mcp.INTERNAL:8000", dns={"mcp.internal": ["10.0.0.9"]}
        ),
        "10.0.0.9",
    ),
    (
        "a name with one label",
        exempt("http://ollama:11434/", "ollama:11434", dns={"ollama": ["172.18.0.3"]}),
        "172.18.0.3",
    ),
    (
        "a name by its address",
        exempt("http://llm.test:8000/", "10.0.0.5:8000", dns={"llm.test": ["10.0.0.5"]}),
        "10.0.0.5",
    ),
    (
        "a public name on another port",
        exempt("https://p.test:8443/", "p.test:8443", dns={"p.test": [A]}),
        A,
    ),
    (
        "a name of both kinds",
        exempt("http://n.test:81/", "n.test:81", dns={"n.test": ["10.0.0.1", A]}),
        "10.0.0.1",
    ),
    ("an address alone", exempt("http://10.0.0.5/", "10.0.0.5"), "10.0.0.5"),
    ("a network", exempt("http://10.20.30.40/", "10.0.0.0/8"), "10.20.30.40"),
    ("a network of the sixth version", exempt("http://[fd00::5]/", "fd00::/8"), "fd00::5"),
    (
        "a name inside a network",
        exempt("https://n.internal/", "10.0.0.0/8", dns={"n.internal": ["10.1.1.1"]}),
        "10.1.1.1",
    ),
    ("an origin", exempt("http://10.0.0.5:8000/x", "http://10.0.0.5:8000"), "10.0.0.5"),
    ("one of several", exempt("http://10.0.0.6:82/", "10.0.0.5:81", "10.0.0.6:82"), "10.0.0.6"),
    ("the metadata service itself", exempt(f"http://{META}/", f"{META}:80"), META),
    ("a public place beside", exempt("http://8.8.8.8/", "10.0.0.5:80"), "8.8.8.8"),
    ("a bad entry beside", exempt("http://10.0.0.5:81/", "", "*", "10.0.0.5:81"), "10.0.0.5"),
    (
        "a redirect to it",
        hops(HOME, "http://10.0.0.1:81/", allowedAddresses=["10.0.0.1:81"]),
        "10.0.0.1",
    ),
    ("another port", exempt("http://127.0.0.1:11435/", "127.0.0.1:11434"), "loopback"),
    ("no port", exempt("http://127.0.0.1/", "127.0.0.1:11434"), "loopback"),
    ("another address", exempt("http://127.0.0.2:11434/", "127.0.0.1:11434"), "loopback"),
    ("another spelling", exempt("http://2130706433:11434/", "127.0.0.1:11434"), "spelling"),
    ("a mapped spelling", exempt("http://[::ffff:127.0.0.1]:81/", "127.0.0.1:81"), "loopback"),
    (
        "another name for it",
        exempt("http://localhost:81/", "127.0.0.1:81", dns={"localhost": ["127.0.0.1"]}),
        "name",
    ),
    (
        "a name below",
        exempt("http://a.n.test:81/", "n.test:81", dns={"a.n.test": ["10.0.0.1"]}),
        "private",
    ),
    (
        "a name that ends so",
        exempt("http://xn.test:81/", "n.test:81", dns={"xn.test": ["10.0.0.1"]}),
        "private",
    ),
    (
        "only one of two addresses",
        exempt("http://n.test:81/", "10.0.0.5:81", dns={"n.test": ["10.0.0.5", "10.0.0.6"]}),
        "private",
    ),
    (
        "a public one beside it on that port",
        exempt("http://n.test:81/", "10.0.0.5:81", dns={"n.test": ["10.0.0.5", A]}),
        "port",
    ),
    (
        "a name that turns to metadata",
        exempt("http://n.test:81/", "n.test:81", dns={"n.test": [META]}),
        "metadata",
    ),
    ("a network, another port", exempt("http://10.1.1.1:81/", "10.0.0.0/8"), "private"),
    ("an address alone, another port", exempt("http://10.0.0.5:81/", "10.0.0.5"), "private"),
    ("another scheme", exempt("ftp://10.0.0.5:21/", "10.0.0.5:21"), "scheme"),
    ("a user", exempt("http://u@10.0.0.5:81/", "10.0.0.5:81"), "userinfo"),
    ("an empty list", exempt("http://127.0.0.1:81/"), "loopback"),
    ("an entry that means nothing", exempt("http://127.0.0.1:81/", "127.0.0.1:81/x"), "loopback"),
    ("a star", exempt("http://127.0.0.1:81/", "*", "*:*", "*.0.0.1:81"), "loopback"),
    (
        "a redirect past it",
        hops("http://10.0.0.1:81/", "http://10.0.0.1:82/", allowedAddresses=["10.0.0.1:81"]),
        "private",
    ),
)

LISTED: tuple[Row, ...] = (
    ("the host", listed("https://api.test/x", "api.test"), A),
    ("in capitals", listed("https://API.test/", "Api.TEST"), A),
    ("with a dot", listed("https://api.test/", "api.test."), A),
    ("below a star", listed("https://a.api.test/", "*.api.test"), A),
    ("far below a star", listed("https://a.b.c.api.test/", "*.api.test"), A),
    ("its scheme", listed("https://api.test/", "https://api.test"), A),
    ("its port", listed("https://api.test:8443/", "https://api.test:8443"), A),
    ("a port without a scheme", listed("http://api.test:8080/", "api.test:8080"), A),
    ("the usual port by name", listed("https://api.test/", "https://api.test:443"), A),
    ("a star with a scheme", listed("https://a.api.test/", "https://*.api.test"), A),
    ("one of two", listed("https://api.test/", "other.test", "api.test"), A),
    ("an address", listed("http://8.8.8.8/", "8.8.8.8"), "8.8.8.8"),
    ("an empty list", listed("https://api.test/"), A),
    ("a redirect inside", hops(HOME, "http://o.test/", allowedDomains=["h.test", "o.test"]), B),
    (
        "listed and exempt",
        exempt("http://10.0.0.5:81/", "10.0.0.5:81", allowedDomains=["10.0.0.5"]),
        "10.0.0.5",
    ),
    ("another host", listed("https://evil.test/", "api.test"), "not-listed"),
    ("a host below", listed("https://a.api.test/", "api.test"), "not-listed"),
    ("www below", listed("https://www.api.test/", "api.test"), "not-listed"),
    ("the star's own base", listed("https://api.test/", "*.api.test"), "not-listed"),
    ("a host that ends so", listed("https://evilapi.test/", "api.test"), "not-listed"),
    ("below a star, without a dot", listed("https://evilapi.test/", "*.api.test"), "not-listed"),
    ("with it as a beginning", listed("https://api.test.evil.test/", "api.test"), "not-listed"),
    ("star and beginning", listed("https://a.api.test.evil.test/", "*.api.test"), "not-listed"),
    ("hyphens for dots", listed("https://api-test/", "api.test"), "not-listed"),
    ("the host above", listed("https://test/", "api.test"), "not-listed"),
    ("another scheme", listed("http://api.test/", "https://api.test"), "not-listed"),
    ("another port", listed("https://api.test/", "https://api.test:8443"), "not-listed"),
    ("a port not named", listed("https://api.test:8443/", "api.test"), "port"),
    ("a user", listed("https://api.test@evil.test/", "api.test"), "userinfo"),
    ("a query", listed("https://evil.test/?api.test", "api.test"), "not-listed"),
    ("a fragment", listed("https://evil.test/#.api.test", "*.api.test"), "not-listed"),
    (
        "a listed name that is private",
        listed("https://api.test/", "api.test", address="10.0.0.1"),
        "private",
    ),
    (
        "a star that is metadata",
        listed("https://m.api.test/", "*.api.test", address=META),
        "metadata",
    ),
    ("a listed private address", listed("http://10.0.0.1/", "10.0.0.1"), "private"),
    ("listed loopback on a port", listed("http://127.0.0.1:81/", "127.0.0.1:81"), "loopback"),
    ("a star over everything", listed("https://evil.test/", "*"), "not-listed"),
    ("only a meaningless entry", listed("https://api.test/", "https://"), "not-listed"),
    (
        "exempt and not listed",
        exempt("http://10.0.0.5:81/", "10.0.0.5:81", allowedDomains=["api.test"]),
        "not-listed",
    ),
    ("a redirect outside", hops(HOME, "http://o.test/", allowedDomains=["h.test"]), "not-listed"),
    ("a redirect below", hops(HOME, "http://a.h.test/", allowedDomains=["h.test"]), "not-listed"),
    ("public addresses, by a name's list", listed("http://8.8.8.8/", "api.test"), "not-listed"),
)

PROXY = "http://127.0.0.1:3128"
PROXIES: tuple[Row, ...] = (
    ("HTTP_PROXY", name(A, env={"HTTP_PROXY": PROXY}), A),
    ("http_proxy", name(A, env={"http_proxy": PROXY}), A),
    ("HTTPS_PROXY", name(A, url="https://n.test/", env={"HTTPS_PROXY": PROXY}), A),
    ("https_proxy", name(A, url="https://n.test/", env={"https_proxy": PROXY}), A),
    ("ALL_PROXY", name(A, env={"ALL_PROXY": "socks5://127.0.0.1:1080"}), A),
    ("a proxy on metadata", name(A, env={"HTTP_PROXY": f"http://{META}/"}), A),
    ("NO_PROXY", name(A, env={"HTTP_PROXY": PROXY, "NO_PROXY": "*"}), A),
    ("a proxy that would hide loopback", name("127.0.0.1", env={"HTTP_PROXY": PROXY}), "loopback"),
    ("NO_PROXY for a private host", name("10.0.0.1", env={"no_proxy": "n.test"}), "private"),
    ("a proxy for metadata", {"url": f"http://{META}/", "env": {"ALL_PROXY": PROXY}}, "metadata"),
    ("a proxy and an unknown name", {"url": HOME, "env": {"HTTP_PROXY": PROXY}}, "dns"),
    (
        "a proxy and a redirect",
        hops(HOME, "http://127.0.0.1/") | {"env": {"ALL_PROXY": PROXY}},
        "loopback",
    ),
    ("other variables", name(A, env={"PATH": "/nowhere", "SSL_CERT_FILE": "/nowhere"}), A),
    ("values that are no strings", name(A, env={"HTTP_PROXY": None, "X_PROXY": 7}), A),
)

ROWS: dict[str, tuple[Row, ...]] = {
    "dns": NAMES,
    "rebinding": TURNS,
    "redirect": REDIRECTS,
    "exemption": EXEMPTED,
    "allow-list": LISTED,
    "proxy": PROXIES,
}
BAD_LINES = (
    *("", "{", "nonsense", "[]", "[1]", "1", "null", '"http://example.com/"', "{}", '{"url": 1}'),
    *('{"url": null}', '{"url": ["http://example.com/"]}', '{"url": "http://8.8.8.8/", "dns": 1}'),
    *('{"url": "http://8.8.8.8/", "policy": []}', '{"url": "http://8.8.8.8/", "env": "x"}'),
    '{"url": "http://8.8.8.8/", "policy": {"allowedAddresses": [1]}}',
    '{"url": "http://8.8.8.8/", "redirects": [1]}',
    '{"url": "http://8.8.8.8/", "redirects": [["302", "/"]]}',
    '{"url": "http://8.8.8.8/", "dns_sequence": []}',
    '{"id": 7, "url": "\\ud800"}',
    "\x00",
)
