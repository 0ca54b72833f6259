"""A client of the guard, over real connections: who it talks to, what it says and what it takes."""

from __future__ import annotations

import gzip
import itertools
import ssl
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpcore2
import httpx2
import pytest
import trio

from harness.certificate import make_certificate
from runtime import limits
from runtime.problems import UpstreamSaid
from runtime.telemetry import Metrics
from specs.requirements import requirement
from specs.unit.egress.small_server import leading, serving, whole
from transports.egress import configured, guard
from transports.egress.connection import GuardedBackend
from transports.egress.denial import Decision, Denied
from transports.egress.guard import Reach

SECRETS = {"Authorization": "Bearer x", "X-Api-Key": "y", "Cookie": "c=z", "X-Own": "w"}


def here(*ports: int) -> frozenset[tuple[str, int]]:
    return frozenset(("127.0.0.1", port) for port in ports)


@requirement("egress.one-look-up")
async def test_a_pooled_connection_is_looked_up_and_dialled_once() -> None:
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    async with serving(lambda _: whole(b"hello")) as server:
        reach = Reach(exempt=frozenset({("n.test", server.port)}), resolve=resolve)
        async with guard.client(reach) as client:
            texts = [(await client.get(f"http://n.test:{server.port}/{n}")).text for n in range(3)]
    assert texts == ["hello"] * 3
    assert (asked, server.connections) == (["n.test"], 1)


async def test_a_name_that_changes_its_mind_is_refused_at_its_next_connection() -> None:
    answers = iter([["127.0.0.1"], ["127.0.0.9"]])

    async def resolve(host: str, port: int) -> list[str]:
        return next(answers)

    async with serving(lambda _: whole(b"", "Connection: close")) as server:
        reach = Reach(exempt=here(server.port), resolve=resolve)
        async with guard.client(reach) as client:
            url = f"http://n.test:{server.port}/"
            assert (await client.get(url)).status_code == 200
            with pytest.raises(Denied) as denial:
                await client.get(url)
    assert (denial.value.rule, server.connections) == ("loopback", 1)


@requirement("egress.one-look-up")
async def test_who_answers_is_who_was_dialled() -> None:
    async with serving(lambda _: whole()) as server:

        async def astray(address: str, port: int) -> trio.abc.Stream:
            return await guard.dial("127.0.0.1", port)

        reach = Reach(
            exempt=frozenset({("127.0.0.2", server.port)}), dial=astray, resolve=guard.resolve
        )
        async with guard.client(reach) as client:
            with pytest.raises(Denied) as denial:
                await client.get(f"http://127.0.0.2:{server.port}/")
    assert (denial.value.rule, server.requests) == ("peer", [])


@requirement("egress.tls")
async def test_tls_verifies_the_name_while_the_checked_address_is_dialled(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    names: list[str | None] = []
    tls.sni_callback = lambda _, name, __: names.append(name)
    trust = ssl.create_default_context(cafile=str(certificate))

    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    async with serving(lambda _: whole(b"safe"), tls) as server:
        places = frozenset({("localhost", server.port), ("other.test", server.port)})
        reach = Reach(exempt=places, resolve=resolve, trust=trust)
        async with guard.client(reach) as client:
            answer = await client.get(f"https://localhost:{server.port}/")
            with pytest.raises(httpx2.ConnectError, match="Hostname mismatch"):
                await client.get(f"https://other.test:{server.port}/")
    assert (answer.text, names) == ("safe", ["localhost", "other.test"])


@requirement("egress.redirects")
async def test_credentials_are_not_carried_to_another_origin() -> None:
    async with (
        serving(lambda _: whole(b"there")) as there,
        serving(leading(f"{there.url}/x")) as server,
    ):
        reach = Reach(exempt=here(server.port, there.port))
        async with guard.client(reach, follow_redirects=True) as client:
            answer = await client.get(server.url, headers=SECRETS)
    assert answer.text == "there"
    assert there.requests == [
        {
            "": "GET /x HTTP/1.1",
            "host": f"127.0.0.1:{there.port}",
            "accept": "*/*",
            "accept-encoding": "identity",
            "connection": "keep-alive",
            "user-agent": "runchat",
        }
    ]


async def test_headers_stay_within_an_origin() -> None:
    def answer(first: str) -> Iterator[bytes]:
        return leading("/x")(first) if first.startswith("GET / ") else whole(b"there")

    async with serving(answer) as server:
        reach = Reach(exempt=here(server.port))
        async with guard.client(reach, follow_redirects=True) as client:
            await client.get(server.url, headers=SECRETS)
    [_, second] = server.requests
    assert [second[name] for name in ("authorization", "x-api-key", "x-own")] == [
        "Bearer x",
        "y",
        "w",
    ]


@pytest.mark.parametrize(
    ("status", "expected"),
    [("307 Again", "redirect-body"), ("308 Always", "redirect-body"), ("303 Look", "GET")],
)
async def test_a_body_is_not_carried_to_another_origin(status: str, expected: str) -> None:
    async with (
        serving(lambda _: whole()) as there,
        serving(leading(f"{there.url}/", status)) as server,
    ):
        reach = Reach(exempt=here(server.port, there.port))
        async with guard.client(reach, follow_redirects=True) as client:
            try:
                await client.post(server.url, content=b"secret")
                found = there.requests[0][""].split()[0]
            except Denied as denial:
                found = denial.rule
    assert found == expected


async def test_a_redirect_that_is_not_followed_is_an_answer_wherever_it_leads() -> None:
    told: list[Decision] = []
    async with serving(leading("http://169.254.169.254/")) as server:
        reach = Reach(exempt=here(server.port), on_decision=told.append)
        async with guard.client(reach) as client:
            answer = await client.get(server.url)
    assert (answer.status_code, [each.allowed for each in told]) == (302, [True])


async def test_no_cookie_is_kept_for_whoever_asks_next() -> None:
    async with (
        serving(lambda _: whole(b"", "Set-Cookie: session=1; Path=/")) as server,
        guard.client(Reach(exempt=here(server.port))) as client,
    ):
        await client.get(server.url)
        await client.get(server.url)
        kept = len(client.cookies)
    assert kept == 0
    assert "cookie" not in server.requests[1]


def endless() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    piece = b"x" * 65536
    yield from itertools.repeat(b"10000\r\n" + piece + b"\r\n", 16_384)  # a gigabyte


@requirement("egress.bounds")
async def test_an_answer_without_end_is_cut_at_its_bound() -> None:
    async with serving(lambda _: endless()) as server:
        reach = Reach(exempt=here(server.port), body_bytes=1024 * 1024)
        async with guard.client(reach) as client:
            with pytest.raises(UpstreamSaid, match="too large"):
                await client.get(server.url)


BOMB = gzip.compress(bytes(64 * 1024 * 1024))


@pytest.mark.parametrize(
    ("coding", "sent", "found"),
    [
        ("gzip", gzip.compress(b"hello"), "hello"),
        ("deflate", zlib.compress(b"hello"), "hello"),
        ("GZIP", gzip.compress(b"y" * 200_000), "y" * 200_000),
        ("gzip", BOMB, "The answer is too large."),
        ("gzip", b"\x1f\x8bnonsense", "DecodingError"),
        ("br", b"", "The provider sent a coding that was not asked for."),
        ("gzip, gzip", gzip.compress(BOMB), "The provider sent a coding that was not asked for."),
    ],
    ids=["gzip", "deflate", "capitals", "a bomb", "nonsense", "another", "two of them"],
)
async def test_a_coding_is_taken_away_within_the_bound(
    coding: str, sent: bytes, found: str
) -> None:
    async with serving(lambda _: whole(sent, f"Content-Encoding: {coding}")) as server:
        reach = Reach(exempt=here(server.port), decodes=True, body_bytes=1024 * 1024)
        async with guard.client(reach) as client:
            try:
                told = (await client.get(server.url)).text
            except UpstreamSaid as error:
                told = error.detail
            except httpx2.DecodingError:
                told = "DecodingError"
    assert told == found
    assert server.requests[0]["accept-encoding"] == "gzip, deflate"


async def test_a_coding_that_was_not_asked_for_is_refused() -> None:
    async with (
        serving(lambda _: whole(BOMB, "Content-Encoding: gzip")) as server,
        guard.client(Reach(exempt=here(server.port))) as client,
    ):
        with pytest.raises(UpstreamSaid, match="not asked for"):
            await client.get(server.url)


@requirement("egress.bounds")
async def test_a_server_that_drips_is_left_when_the_whole_takes_too_long(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def drip(stream: trio.abc.Stream) -> None:
        await stream.receive_some(65536)
        await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(100):
            await trio.sleep(10)
            await stream.send_all(b"x")

    async with trio.open_nursery() as nursery:

        async def dial(host: str, port: int) -> trio.abc.Stream:
            ours, theirs = trio.testing.memory_stream_pair()
            nursery.start_soon(drip, theirs)
            return ours

        reach = Reach(exempt=frozenset({("n.test", 80)}), dial=dial, idle_s=30, total_s=65)
        async with guard.client(reach, base_url="http://n.test") as client:
            with pytest.raises(httpx2.ReadTimeout):
                await client.get("/")
        assert trio.current_time() == 65
        nursery.cancel_scope.cancel()


async def test_a_look_up_without_end_is_a_refusal(autojump_clock: trio.testing.MockClock) -> None:
    told: list[Decision] = []

    async def resolve(host: str, port: int) -> list[str]:
        await trio.sleep_forever()
        raise AssertionError

    with pytest.raises(OSError, match="too long"):
        await Reach(resolve=resolve, on_decision=told.append).connect("n.test", 80)
    assert [(each.allowed, each.rule) for each in told] == [(False, "dns")]
    assert trio.current_time() == limits.UPSTREAM_CONNECT_S


async def test_no_more_addresses_are_dialled_than_the_bound() -> None:
    dialled: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        return [f"93.184.216.{number}" for number in range(200)]

    async def nobody(address: str, port: int) -> trio.abc.Stream:
        dialled.append(address)
        raise OSError("Nobody listens.")

    with pytest.raises(OSError, match="Nobody listens"):
        await Reach(resolve=resolve, dial=nobody).connect("n.test", 80)
    assert dialled == [f"93.184.216.{number}" for number in range(limits.EGRESS_DIALS_MAX)]


async def test_a_unix_socket_is_refused() -> None:
    with pytest.raises(httpcore2.UnsupportedProtocol):
        await GuardedBackend(Reach()).connect_unix_socket("/run/x.sock")


@requirement("egress.counted")
async def test_decisions_are_counted_by_rule_and_purpose() -> None:
    metrics = Metrics()
    async with serving(lambda _: whole()) as server:
        told = configured.counted(metrics)
        reach = Reach(purpose="mcp", exempt=here(server.port), on_decision=told)
        async with guard.client(reach) as client:
            await client.get(server.url)
            await client.get(server.url)
            for url in ("http://10.0.0.1/", "http://10.0.0.2/", "ftp://x/", "http://u@x.test/"):
                with pytest.raises(Denied):
                    await client.get(url)
    counted = {labels: number for _, _, labels, number in metrics.egress_decisions_total.samples()}
    assert counted == {
        ("allow", "exempt", "mcp"): 1,
        ("block", "private", "mcp"): 2,
        ("block", "scheme", "mcp"): 1,
        ("block", "userinfo", "mcp"): 1,
    }


@pytest.mark.parametrize(
    "url",
    ["http://10.0.0.1/", "http://u:p@example.com/", "http://example.com:22/", "http://[::1]/"],
)
async def test_a_url_that_another_library_has_read_is_judged_too(url: str) -> None:
    async with guard.client() as client:
        with pytest.raises(Denied) as denial:
            await client.send(httpx2.Request("GET", httpx2.URL(url)))
    assert denial.value.detail == "The address of the endpoint is not allowed."


async def test_a_head_and_its_body_go_out_in_one_write_and_a_long_body_as_it_comes() -> None:
    came: list[bytes] = []

    async def talk(stream: trio.abc.Stream) -> None:
        for _ in range(2):
            left = 1
            while left > 0:
                came.append(bytes(await stream.receive_some(1 << 20)))
                head, _, body = came[-1].partition(b"\r\n\r\n")
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                left = int(length) - len(body) if length else left - len(came[-1])
            await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with trio.open_nursery() as nursery:

        async def dial(host: str, port: int) -> trio.abc.Stream:
            ours, theirs = trio.testing.memory_stream_pair()
            nursery.start_soon(talk, theirs)
            return ours

        reach = Reach(exempt=frozenset({("n.test", 80)}), dial=dial)
        async with guard.client(reach, base_url="http://n.test") as client:
            with trio.fail_after(10):
                await client.post("/", content=b"words")
                first = len(came)
                await client.post("/", content=b"x" * limits.EGRESS_HELD_BYTES)
    assert (first, came[0].endswith(b"\r\n\r\nwords")) == (1, True)
    assert b"".join(came).endswith(b"x" * limits.EGRESS_HELD_BYTES)


async def test_an_answer_that_came_before_all_was_sent_is_read() -> None:
    async def refuse(stream: trio.abc.Stream) -> None:
        await stream.send_all(b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n")

    ours, theirs = trio.testing.memory_stream_pair()
    await refuse(theirs)
    ours.send_stream.close()  # its peer reads no more

    async def dial(host: str, port: int) -> trio.abc.Stream:
        return ours

    reach = Reach(exempt=frozenset({("n.test", 80)}), dial=dial)
    async with guard.client(reach, base_url="http://n.test") as client:
        with trio.fail_after(10):
            answer = await client.post("/", content=b"words")
    assert answer.status_code == 413
