"""The protocol's subscriptions through the public door: pull-wake, webhooks, leases, fences."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from runtime import limits
from runtime.offsets import offset_of
from specs.requirements import requirement
from specs.support.durable import JSON, ROOT, audited, named
from specs.support.faults import break_the_audit
from specs.support.server import Service, service
from transports.egress.webhooks import Webhooks

SUBS = f"{ROOT}__ds/subscriptions/"
PULL = {"type": "pull-wake", "pattern": "events/*", "wake_stream": "wakes", "lease_ttl_ms": 1000}


@pytest.fixture
async def running() -> AsyncIterator[Service]:
    async with service() as running:
        yield running


@pytest.fixture
async def client(running: Service) -> httpx.AsyncClient:
    return await running.client()


async def wakes(client: httpx.AsyncClient, count: int) -> list[Any]:
    """Return the values of the wake stream once there are so many."""
    found: list[Any] = []
    at = "-1"
    while len(found) < count:
        answer = await client.get(f"{ROOT}wakes?offset={at}&live=long-poll")
        found += answer.json() if answer.content else []
        at = answer.headers["Stream-Next-Offset"]
    return found


async def pull(client: httpx.AsyncClient) -> None:
    """Make the wake stream and a pull-wake subscription `s`."""
    await client.put(f"{ROOT}wakes", headers=JSON)
    assert (await client.put(f"{SUBS}s", json=PULL)).status_code == 201


def words(lease: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"wake_id": lease["wake_id"], "generation": lease["generation"], **more}


def bearer(lease: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {lease.get('token') or lease['callback_token']}"}


def refusal(answer: httpx.Response) -> tuple[int, str, str]:
    """Return the status, the name, and the protocol's own code of a refusal."""
    return (*named(answer), answer.json()["error"]["code"])


@requirement("durable.pull-wake", "durable.audited")
async def test_a_worker_claims_acknowledges_and_releases(
    running: Service, client: httpx.AsyncClient
) -> None:
    await client.put(f"{ROOT}events/old", headers=JSON, content=b"[1,2]")
    await pull(client)
    nothing = await client.post(f"{SUBS}s/claim", json={"worker": "one"})
    assert refusal(nothing) == (409, "lease-held", "NO_PENDING_WORK")
    await client.put(f"{ROOT}events/new", headers=JSON, content=b"1")
    for value in (b"2", b"3"):
        await client.post(f"{ROOT}events/new", headers=JSON, content=value)
    [wake] = await wakes(client, 1)
    assert {k: wake[k] for k in wake if k != "ts"} == {
        "type": "wake",
        "subscription_id": "s",
        "stream": "events/new",
        "generation": 1,
    }
    claimed = await client.post(f"{SUBS}s/claim", json={"worker": "one"})
    lease = claimed.json()
    assert lease["streams"] == [
        {
            "path": "events/new",
            "link_type": "glob",
            "acked_offset": offset_of(0),
            "tail_offset": offset_of(3),
            "has_pending": True,
        },
        {
            "path": "events/old",
            "link_type": "glob",
            "acked_offset": offset_of(1),
            "tail_offset": offset_of(1),
            "has_pending": False,
        },
    ]
    held = await client.post(f"{SUBS}s/claim", json={"worker": "two"})
    assert refusal(held) == (409, "lease-held", "ALREADY_CLAIMED")
    assert held.json()["error"]["current_holder"] == "one"
    stranger = running.stranger(bearer(lease))
    acks = [{"stream": "events/new", "offset": offset_of(2)}]
    beat = await stranger.post(f"{SUBS}s/ack", json=words(lease, acks=acks))
    assert beat.json() == {"ok": True, "next_wake": False}
    done = await stranger.post(f"{SUBS}s/ack", json=words(lease, done=True))
    assert done.json() == {"ok": True, "next_wake": True}
    assert [each["generation"] for each in await wakes(client, 2)] == [1, 2]
    lease = (await client.post(f"{SUBS}s/claim", json={"worker": "two"})).json()
    released = await client.post(f"{SUBS}s/release", json=words(lease), headers=bearer(lease))
    assert released.status_code == 204
    assert [each["generation"] for each in await wakes(client, 3)] == [1, 2, 3]
    told = audited(running)
    assert [each for each in told if each.startswith("subscription.")] == [
        "subscription.create",
        "subscription.claim",
        "subscription.ack",
        "subscription.ack",
        "subscription.claim",
        "subscription.release",
    ]


@requirement("durable.pull-wake")
async def test_a_lease_that_is_not_kept_passes_on(client: httpx.AsyncClient) -> None:
    await pull(client)
    await client.put(f"{ROOT}events/a", headers=JSON, content=b"1")
    lease = (await client.post(f"{SUBS}s/claim", json={"worker": "one"})).json()
    await wakes(client, 2)  # a second later
    late = await client.post(f"{SUBS}s/ack", json=words(lease, done=True), headers=bearer(lease))
    assert refusal(late) == (409, "lease-fenced", "FENCED")
    second = await client.post(f"{SUBS}s/claim", json={"worker": "two"})
    assert second.json()["generation"] == 2


@requirement("durable.fenced")
async def test_what_is_not_of_the_present_wake_moves_nothing(
    running: Service, client: httpx.AsyncClient
) -> None:
    await pull(client)
    await client.put(f"{ROOT}events/a", headers=JSON, content=b"1")
    lease = (await client.post(f"{SUBS}s/claim", json={"worker": "one"})).json()
    acks = [{"stream": "events/a", "offset": offset_of(1)}]

    async def send(verb: str, body: dict[str, Any], headers: dict[str, str]) -> httpx.Response:
        return await running.stranger(headers).post(f"{SUBS}s/{verb}", json=body)

    for verb in ("ack", "callback", "release"):
        more: dict[str, Any] = {} if verb == "release" else {"acks": acks, "done": True}
        for headers in ({}, {"Authorization": "Bearer x.y"}, {"Authorization": "Bearer e30.AAAA"}):
            refused = await send(verb, words(lease, **more), headers)
            assert refusal(refused) == (401, "unauthenticated", "TOKEN_INVALID")
        stale = words(lease, **more) | {"wake_id": "wake_other"}
        refused = await send(verb, stale, bearer(lease))
        assert refusal(refused) == (409, "lease-fenced", "FENCED")
        other = await running.stranger(bearer(lease)).post(f"{SUBS}t/{verb}", json=words(lease))
        assert named(other) == (404, "not-found")
    wrong_door = await send("callback", words(lease), bearer(lease))
    assert named(wrong_door) == (400, "bad-request")
    for path, offset in (("events/b", offset_of(1)), ("events/a", offset_of(2)), ("events/a", "1")):
        body = words(lease, acks=[{"stream": path, "offset": offset}])
        assert named(await send("ack", body, bearer(lease))) == (400, "bad-request")
    shown = (await client.get(f"{SUBS}s")).json()
    assert shown["streams"][0]["acked_offset"] == offset_of(0)
    await client.delete(f"{SUBS}s")
    gone = await send("ack", words(lease), bearer(lease))
    assert named(gone) == (404, "not-found")


@requirement("durable.pull-wake")
async def test_a_subscription_is_made_shown_changed_and_forgotten(
    client: httpx.AsyncClient,
) -> None:
    await pull(client)
    assert (await client.put(f"{SUBS}s", json=PULL)).status_code == 200
    other = await client.put(f"{SUBS}s", json=PULL | {"description": "another"})
    assert named(other) == (409, "stream-conflict")
    added = await client.post(f"{SUBS}s/streams", json={"streams": ["x/y", "events/a"]})
    await client.put(f"{ROOT}events/a", headers=JSON)
    removed = [await client.delete(f"{SUBS}s/streams/{path}") for path in ("x%2Fy", "none")]
    assert [added.status_code, *(each.status_code for each in removed)] == [204, 204, 204]
    shown = (await client.get(f"{SUBS}s")).json()
    assert shown["streams"] == [
        {"path": "events/a", "link_type": "explicit", "acked_offset": offset_of(0)}
    ]
    assert (shown["type"], shown["webhook"], shown["status"]) == ("pull-wake", None, "active")
    assert (await client.delete(f"{SUBS}s")).status_code == 204
    for method, path in (("GET", "s"), ("DELETE", "s"), ("DELETE", "s/streams/a")):
        assert named(await client.request(method, f"{SUBS}{path}")) == (404, "not-found")
    for wrong in ({"pattern": None}, {"wake_stream": None}, {"type": "webhook"}):
        assert named(await client.put(f"{SUBS}s", json=PULL | wrong)) == (422, "invalid")


@requirement("durable.pull-wake")
async def test_subscriptions_and_their_streams_are_bounded(client: httpx.AsyncClient) -> None:
    await pull(client)
    paths = [f"p/{n}" for n in range(limits.SUBSCRIPTION_STREAMS_MAX)]
    assert (await client.post(f"{SUBS}s/streams", json={"streams": paths})).status_code == 204
    more = await client.post(f"{SUBS}s/streams", json={"streams": ["one/more"]})
    assert named(more) == (400, "bad-request")
    for number in range(1, limits.SUBSCRIPTIONS_MAX):
        assert (await client.put(f"{SUBS}s{number}", json=PULL)).status_code == 201
    assert named(await client.put(f"{SUBS}one-more", json=PULL)) == (429, "too-many-requests")


@requirement("durable.audited")
async def test_what_cannot_be_audited_does_not_happen(
    running: Service, client: httpx.AsyncClient
) -> None:
    await pull(client)
    await client.post(f"{SUBS}s/streams", json={"streams": ["x"]})
    await client.put(f"{ROOT}events/a", headers=JSON, content=b"1")
    lease = (await client.post(f"{SUBS}s/claim", json={"worker": "one"})).json()
    running.services.tree.spine.webhooks = Webhooks(loopback=True)
    hooked = {"type": "webhook", "pattern": "hooked/*", "webhook": {"url": "http://127.0.0.1:9/"}}
    await client.put(f"{SUBS}h", json=hooked)
    await break_the_audit(running)
    for method, path, body, headers in (
        ("PUT", "new", PULL, {}),
        ("POST", "s/streams", {"streams": ["y"]}, {}),
        ("DELETE", "s/streams/x", None, {}),
        ("POST", "s/ack", words(lease), bearer(lease)),
        ("POST", "s/release", words(lease), bearer(lease)),
        ("DELETE", "s", None, {}),
    ):
        answer = await client.request(method, f"{SUBS}{path}", json=body, headers=headers)
        assert named(answer) == (503, "audit-unavailable")
    assert (await client.get(f"{SUBS}s")).json()["streams"][1]["path"] == "x"


@dataclass(slots=True)
class Hook:
    """A program that takes webhooks, and says what it is told to."""

    port: int
    answers: list[bytes] = field(default_factory=list)
    put: trio.MemorySendChannel[tuple[bytes, str]] | None = None

    async def serve(self, stream: trio.SocketStream) -> None:
        head, _, body = b"", b"", b""
        data = b""
        while b"\r\n\r\n" not in data:
            data += await stream.receive_some(65536)
        head, _, body = data.partition(b"\r\n\r\n")
        fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:])
        while len(body) < int(fields[b"content-length"]):
            body += await stream.receive_some(65536)
        signed = next(line for line in head.split(b"\r\n") if b"ebhook-" in line)
        assert self.put is not None
        await self.put.send((body, signed.partition(b": ")[2].decode()))
        answer = self.answers.pop(0) if self.answers else b"{}"
        status = b"200 OK" if answer != b"fail" else b"500 Oh"
        await stream.send_all(
            b"HTTP/1.1 %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
            % (status, len(answer), answer)
        )


@pytest.fixture
async def hook(
    running: Service, nursery: trio.Nursery
) -> tuple[Hook, trio.MemoryReceiveChannel[tuple[bytes, str]]]:
    running.services.tree.spine.webhooks = Webhooks(loopback=True)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    put, got = trio.open_memory_channel[tuple[bytes, str]](100)
    made = Hook(listeners[0].socket.getsockname()[1], put=put)
    nursery.start_soon(trio.serve_listeners, made.serve, listeners)
    return made, got


Hooked = tuple[Hook, trio.MemoryReceiveChannel[tuple[bytes, str]]]


async def hooked(client: httpx.AsyncClient, hook: Hooked) -> None:
    body = {
        "type": "webhook",
        "pattern": "events/**",
        "webhook": {"url": f"http://127.0.0.1:{hook[0].port}/hook"},
        "lease_ttl_ms": 30_000,
    }
    assert (await client.put(f"{SUBS}h", json=body)).status_code == 201


@requirement("durable.webhook")
async def test_a_webhook_is_signed_and_done_by_saying_so(
    running: Service, client: httpx.AsyncClient, hook: Hooked
) -> None:
    hook[0].answers = [b"fail", b'{"done": true}']
    await hooked(client, hook)
    await client.put(f"{ROOT}events/a/b", headers=JSON, content=b"[1,2]")
    first, _ = await hook[1].receive()
    body, signature = await hook[1].receive()
    told = json.loads(body)
    assert (json.loads(first)["generation"], told["generation"]) == (1, 2)
    assert told["streams"][0]["path"] == "events/a/b"
    assert told["callback_url"] == f"{running.url}{SUBS}h/callback"
    keys = await running.stranger().get(f"{ROOT}__ds/jwks.json")
    assert keys.headers["Content-Type"] == "application/jwk-set+json"
    [key] = keys.json()["keys"]
    signed = dict(part.split("=", 1) for part in signature.split(","))
    assert signed["kid"] == key["kid"]
    public = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(key["x"] + "="))
    public.verify(
        base64.urlsafe_b64decode(signed["ed25519"] + "=="), f"{signed['t']}.".encode() + body
    )
    while (await client.get(f"{SUBS}h")).json()["streams"][0]["acked_offset"] != offset_of(1):
        await trio.lowlevel.checkpoint()
    assert (await client.get(f"{SUBS}h")).json()["status"] == "active"


@requirement("durable.webhook", "durable.fenced")
async def test_a_webhook_calls_back_and_is_woken_again(
    running: Service, client: httpx.AsyncClient, hook: Hooked
) -> None:
    await hooked(client, hook)
    await client.put(f"{ROOT}events/a", headers=JSON, content=b"1")
    told = json.loads((await hook[1].receive())[0])
    await client.post(f"{ROOT}events/a", headers=JSON, content=b"2")
    acks = [{"stream": "events/a", "offset": offset_of(1)}]
    stranger = running.stranger(bearer(told))
    body = words(told, acks=acks, done=True)
    called = await stranger.post(f"{SUBS}h/callback", json=body)
    assert called.json() == {"ok": True, "next_wake": True}
    again = await stranger.post(f"{SUBS}h/callback", json=body)
    assert refusal(again) == (409, "lease-fenced", "FENCED")
    second = json.loads((await hook[1].receive())[0])
    assert (second["generation"], second["streams"][0]["acked_offset"]) == (2, offset_of(1))
    claimed = await client.post(f"{SUBS}h/claim", json={"worker": "one"})
    assert named(claimed) == (400, "bad-request")
    await break_the_audit(running)
    headers = bearer(second)
    refused = await running.stranger(headers).post(f"{SUBS}h/callback", json=words(second))
    assert named(refused) == (503, "audit-unavailable")


@requirement("durable.audited")
async def test_a_claim_that_cannot_be_audited_does_not_happen(
    running: Service, client: httpx.AsyncClient
) -> None:
    await pull(client)
    await client.put(f"{ROOT}events/a", headers=JSON, content=b"1")
    await break_the_audit(running)
    refused = await client.post(f"{SUBS}s/claim", json={"worker": "one"})
    assert named(refused) == (503, "audit-unavailable")


@requirement("durable.webhook-refused")
@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/hook",
        "https://192.168.1.1/",
        "https://127.0.0.1/",
        "https://localhost/",
        "https://[::1]/",
        "https://169.254.169.254/",
        "http://example.com/",
        "ftp://example.com/",
        "https://user:pass@example.com/",
        "not a url",
    ],
)
async def test_webhooks_are_off_and_never_on_private_addresses(
    running: Service, client: httpx.AsyncClient, url: str
) -> None:
    body = {"type": "webhook", "pattern": "a", "webhook": {"url": url}}
    for _ in range(2):
        refused = await client.put(f"{SUBS}h", json=body)
        assert refusal(refused) == (400, "webhook-rejected", "WEBHOOK_URL_REJECTED")
        running.services.tree.spine.webhooks = Webhooks(loopback=False)
