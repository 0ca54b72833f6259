"""Redirects, hop by hop: where they lead, or the rule that blocks them."""

from __future__ import annotations

from typing import Any

A, B, C = "93.184.216.34", "151.101.1.69", "2606:4700:4700::1111"
META = "169.254.169.254"
HOME = "http://h.test/"
SAFE = "https://h.test/"
IN = "http://in.test/"
Row = tuple[str, dict[str, Any], str]


def hops(url: str, *locations: Any, status: int = 302, **policy: Any) -> dict[str, Any]:
    known = {"h.test": [A], "o.test": [B], "h6.test": [C], "in.test": ["10.0.0.1"]}
    redirects = [each if isinstance(each, list) else [status, each] for each in locations]
    known |= {"meta.test": [META], "mixed.test": [A, "127.0.0.1"], "*.deep.h.test": [A]}
    return {"url": url, "dns": known, "redirects": redirects, "policy": policy}


REDIRECTS: tuple[Row, ...] = (
    ("to another host", hops(HOME, "http://o.test/"), B),
    ("to a path", hops(HOME, "/x"), A),
    ("to a path beside", hops("http://h.test/a/b", "../c?x=http://127.0.0.1/"), A),
    ("to a query", hops(HOME, "?x"), A),
    ("without a scheme", hops(HOME, "//o.test/"), B),
    ("up to TLS", hops(HOME, "https://h.test/"), A),
    ("over TLS", hops(SAFE, "https://o.test/x"), B),
    ("to the sixth version", hops(HOME, f"http://[{C}]/"), C),
    ("to a public address", hops(HOME, "http://8.8.8.8/"), "8.8.8.8"),
    ("permanently", hops(HOME, "http://o.test/", status=301), B),
    ("by 303", hops(HOME, "http://o.test/", status=303), B),
    ("by 307", hops(HOME, "http://o.test/", status=307), B),
    ("by 308", hops(HOME, "http://o.test/", status=308), B),
    ("five times", hops(HOME, *["/x"] * 5), A),
    ("to and fro", hops(HOME, "http://o.test/", HOME, "http://o.test/"), B),
    ("with another status after it", hops(HOME, "http://o.test/", [404, ""]), B),
    ("a status that is none, with a Location", hops(HOME, [200, "http://127.0.0.1/"]), A),
    ("201 with a Location", hops(HOME, [201, "http://127.0.0.1/"]), A),
    ("a redirect to nowhere", hops(HOME, [302, ""]), A),
    ("with a fragment", hops(HOME, "http://o.test/#x"), B),
    ("to a name with a dot", hops(HOME, "http://o.test./"), B),
    ("in capitals", hops(HOME, "HTTP://O.TEST/"), B),
    ("in another script, escaped", hops(HOME, "/caf%C3%A9"), A),
    ("down, where the policy lets it", hops(SAFE, HOME, downgrade=True), A),
    ("down elsewhere, likewise", hops(SAFE, "http://o.test/", downgrade=True), B),
    ("six times", hops(HOME, *["/x"] * 6), "redirects"),
    ("in a circle", hops(HOME, *["http://o.test/", HOME] * 10), "redirects"),
    ("down from TLS", hops(SAFE, HOME), "downgrade"),
    ("down to another host", hops(SAFE, "http://o.test/"), "downgrade"),
    ("down at the second hop", hops(SAFE, "https://o.test/", "http://o.test/"), "downgrade"),
    ("down and up", hops(SAFE, HOME, SAFE), "downgrade"),
    ("down, the policy being vague", hops(SAFE, HOME, downgrade="yes"), "downgrade"),
    ("to metadata", hops(HOME, f"http://{META}/latest/"), "metadata"),
    ("to metadata by 301", hops(HOME, f"http://{META}/", status=301), "metadata"),
    ("to metadata by 307", hops(HOME, f"http://{META}/", status=307), "metadata"),
    ("to metadata over TLS", hops(SAFE, f"https://{META}/"), "metadata"),
    ("to metadata by a name", hops(HOME, "http://meta.test/"), "metadata"),
    ("to metadata at the third hop", hops(HOME, "/a", "//o.test/", f"//{META}/"), "metadata"),
    ("to metadata at the fifth", hops(HOME, *["/"] * 4, "http://meta.test/"), "metadata"),
    ("to loopback", hops(HOME, "http://127.0.0.1/"), "loopback"),
    ("to loopback without a scheme", hops(HOME, "//127.0.0.1/"), "loopback"),
    ("to loopback of the sixth version", hops(HOME, "http://[::1]/"), "loopback"),
    ("to mapped loopback", hops(HOME, "http://[::ffff:7f00:1]/"), "loopback"),
    ("to NAT64", hops(HOME, "http://[64:ff9b::7f00:1]/"), "loopback"),
    ("to a name inside", hops(HOME, IN), "private"),
    ("to a name of both kinds", hops(HOME, "http://mixed.test/"), "loopback"),
    ("to this machine's name", hops(HOME, "http://localhost/"), "name"),
    ("to a name nobody knows", hops(HOME, "http://unknown.test/"), "dns"),
    ("to a decimal", hops(HOME, "http://2130706433/"), "spelling"),
    ("to a hex one", hops(HOME, "//0x7f.1/"), "spelling"),
    ("to an octal one", hops(HOME, "http://0177.0.0.1/"), "spelling"),
    ("to fullwidth digits", hops(HOME, "http://\uff11\uff12\uff17.0.0.1/"), "spelling"),
    ("to another port", hops(HOME, "http://h.test:6379/"), "port"),
    ("with a user", hops(HOME, "http://u:p@o.test/"), "userinfo"),
    ("with a name as a user", hops(HOME, "http://h.test@127.0.0.1/"), "userinfo"),
    ("to a file", hops(HOME, "file:///etc/passwd"), "scheme"),
    ("to gopher", hops(HOME, "gopher://127.0.0.1:6379/_INFO"), "scheme"),
    ("to data", hops(HOME, "data:text/plain,x"), "scheme"),
    ("to a script", hops(HOME, "javascript:alert(1)"), "scheme"),
    ("to FTP", hops(HOME, "ftp://o.test/"), "scheme"),
    ("to a websocket", hops(HOME, "ws://o.test/"), "scheme"),
    ("to a scheme without slashes", hops(HOME, "http:127.0.0.1"), "scheme"),
    ("to a scheme with one slash", hops(HOME, "http:/127.0.0.1/"), "scheme"),
    ("to three slashes", hops(HOME, "///127.0.0.1/"), "host"),
    ("to backslashes", hops(HOME, "\\\\127.0.0.1\\"), "url"),
    ("to a slash and a backslash", hops(HOME, "/\\127.0.0.1/"), "url"),
    ("to a blank inside", hops(HOME, "http://o.test/ x"), "url"),
    ("to a tab inside", hops(HOME, "http://o.te\tst/"), "url"),
    ("to the end of a line", hops(HOME, "http://o.test/\r\nX: y"), "url"),
    ("to percent signs", hops(HOME, "http://%31%32%37.0.0.1/"), "host"),
    ("to a broken address", hops(HOME, "http://[::1"), "host"),
    ("to a zone", hops(HOME, "http://[fe80::1%25eth0]/"), "host"),
)
