"""The Durable Streams protocol through the public door: making, writing, reading, deleting."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from runtime.offsets import offset_of
from specs.requirements import requirement
from specs.support.durable import JSON, OFFSET, ROOT, TEXT, audited, named, producer
from specs.support.faults import break_the_audit
from specs.support.server import Service, service


@pytest.fixture
async def running() -> AsyncIterator[Service]:
    async with service() as running:
        yield running


@pytest.fixture
async def client(running: Service) -> httpx.AsyncClient:
    return await running.client()


@requirement("durable.create", "durable.head")
async def test_a_stream_is_made_once_and_confirmed_as_asked(client: httpx.AsyncClient) -> None:
    made = await client.put(f"{ROOT}a/b", headers=TEXT, content=b"first")
    again = await client.put(f"{ROOT}a/b", headers={"Content-Type": "TEXT/plain; charset=utf-8"})
    head = await client.head(f"{ROOT}a/b")
    assert (made.status_code, again.status_code, head.status_code) == (201, 200, 200)
    assert made.headers["Location"] == f"{client.base_url}{ROOT}a/b".replace("//v1", "/v1")
    assert made.headers[OFFSET] == again.headers[OFFSET] == head.headers[OFFSET] == offset_of(1)
    assert head.headers["Content-Type"] == "text/plain"
    assert head.headers["Cache-Control"] == "no-store"
    assert "Stream-Closed" not in head.headers


@requirement("durable.create")
@pytest.mark.parametrize(
    "other",
    [
        {"Content-Type": "application/json"},
        TEXT | {"Stream-TTL": "60"},
        TEXT | {"Stream-Closed": "true"},
        TEXT | {"Stream-Forked-From": f"{ROOT}source"},
    ],
)
async def test_a_stream_of_another_configuration_is_409(
    client: httpx.AsyncClient, other: dict[str, str]
) -> None:
    for path in ("source", "taken"):
        await client.put(f"{ROOT}{path}", headers=TEXT)
    assert named(await client.put(f"{ROOT}taken", headers=other)) == (409, "stream-conflict")


@requirement("durable.create")
@pytest.mark.parametrize(
    "wrong",
    [
        {"Stream-TTL": "060"},
        {"Stream-TTL": "1.0"},
        {"Stream-TTL": "60", "Stream-Expires-At": "2100-01-01T00:00:00Z"},
        {"Stream-Expires-At": "tomorrow"},
        {"Stream-Expires-At": "2100-13-01T00:00:00Z"},
        {"Stream-Fork-Sub-Offset": "0"},
        {"Stream-Forked-From": "/elsewhere"},
        {"Content-Type": "nonsense"},
    ],
)
async def test_a_header_that_is_wrong_is_400(
    client: httpx.AsyncClient, wrong: dict[str, str]
) -> None:
    assert named(await client.put(f"{ROOT}x", headers=wrong)) == (400, "bad-request")
    assert (await client.head(f"{ROOT}x")).status_code == 404


@requirement("durable.as-it-came", "durable.json-mode", "durable.catch-up")
async def test_json_is_kept_as_the_bytes_that_came(client: httpx.AsyncClient) -> None:
    values = [b'{ "a" : 1.0e0 }', b"12345678901234567890123", b'"\\u00e9,]"', b"[[1] , 2]"]
    await client.put(f"{ROOT}j", headers=JSON)
    appended = await client.post(f"{ROOT}j", headers=JSON, content=b"[" + b" ,".join(values) + b"]")
    single = await client.post(f"{ROOT}j", headers=JSON, content=b' {"one": null} \n')
    whole = await client.get(f"{ROOT}j")
    assert (appended.status_code, single.status_code) == (204, 204)
    assert whole.content == b"[" + b",".join([*values, b'{"one": null}']) + b"]"
    assert whole.headers["Stream-Up-To-Date"] == "true"
    rest = await client.get(f"{ROOT}j?offset={appended.headers['Stream-Next-Offset']}")
    assert rest.content == b'[{"one": null}]'
    assert (await client.get(f"{ROOT}j?offset=now")).content == b"[]"


@requirement("durable.json-mode")
async def test_what_is_no_json_is_refused_whole(client: httpx.AsyncClient) -> None:
    await client.put(f"{ROOT}j", headers=JSON, content=b"[]")
    for body in (b"{", b"[1,]", b"[NaN]", b'["\\ud800"]'):
        refused = await client.post(f"{ROOT}j", headers=JSON, content=body)
        assert named(refused) == (400, "bad-json")
    assert named(await client.put(f"{ROOT}k", headers=JSON, content=b"{")) == (400, "bad-json")
    refused = await client.post(f"{ROOT}j", headers=JSON, content=b"[]")
    assert named(refused) == (400, "bad-request")
    assert (await client.get(f"{ROOT}j")).content == b"[]"


@requirement("durable.as-it-came", "durable.offsets")
async def test_bytes_are_read_from_any_offset_to_the_end(client: httpx.AsyncClient) -> None:
    pieces = [bytes([n]) * 40_000 for n in range(5)]
    await client.put(f"{ROOT}b", headers={"Content-Type": "application/octet-stream"})
    offsets = ["-1"]
    for piece in pieces:
        headers = {"Content-Type": "application/octet-stream"}
        appended = await client.post(f"{ROOT}b", headers=headers, content=piece)
        offsets.append(appended.headers[OFFSET])
    assert offsets == sorted(offsets)
    for position, offset in enumerate(offsets):
        answer = await client.get(f"{ROOT}b?offset={offset}")
        assert answer.content == b"".join(pieces[position:])
        assert answer.headers[OFFSET] == offsets[-1]


@requirement("durable.offsets")
@pytest.mark.parametrize(
    "query",
    [
        "offset=",
        "offset=1",
        "offset=0,1",
        "offset=a&offset=b",
        "live=sse",
        "live=long-poll",
        "offset=-1&live=x",
        f"offset={offset_of(2)}",
        f"offset={offset_of(2)}&live=sse",
    ],
)
async def test_an_offset_that_is_none_is_400(client: httpx.AsyncClient, query: str) -> None:
    await client.put(f"{ROOT}t", headers=TEXT, content=b"x")
    assert named(await client.get(f"{ROOT}t?{query}")) == (400, "bad-request")


@requirement("durable.append")
async def test_a_closed_stream_takes_nothing_more(client: httpx.AsyncClient) -> None:
    await client.put(f"{ROOT}t", headers=TEXT, content=b"one")
    closing = TEXT | {"Stream-Closed": "true"}
    last = await client.post(f"{ROOT}t", headers=closing, content=b"two")
    again = await client.post(f"{ROOT}t", headers={"Stream-Closed": "TRUE"})
    late = await client.post(f"{ROOT}t", headers=closing, content=b"three")
    assert (last.status_code, again.status_code) == (204, 204)
    assert last.headers["Stream-Closed"] == again.headers["Stream-Closed"] == "true"
    assert named(late) == (409, "stream-closed")
    assert late.headers["Stream-Closed"] == "true"
    assert late.headers[OFFSET] == offset_of(2)
    whole = await client.get(f"{ROOT}t")
    assert (whole.content, whole.headers["Stream-Closed"]) == (b"onetwo", "true")
    assert (await client.head(f"{ROOT}t")).headers["Stream-Closed"] == "true"


@requirement("durable.append")
async def test_what_cannot_be_appended_says_why(client: httpx.AsyncClient) -> None:
    await client.put(f"{ROOT}t", headers=TEXT)
    seq = TEXT | {"Stream-Seq": "b"}
    assert (await client.post(f"{ROOT}t", headers=seq, content=b"x")).status_code == 204
    refusals = [
        (TEXT, b"", (400, "bad-request")),
        ({"Content-Type": ""}, b"x", (400, "bad-request")),
        (TEXT | {"Producer-Id": "p"}, b"x", (400, "bad-request")),
        (JSON, b"1", (409, "stream-conflict")),
        (TEXT | {"Stream-Seq": "a"}, b"x", (409, "stream-conflict")),
        (TEXT | {"Stream-Seq": "b"}, b"x", (409, "stream-conflict")),
        (TEXT, b" " * 9 * 1024 * 1024, (413, "too-large")),
    ]
    for headers, body, expected in refusals:
        assert named(await client.post(f"{ROOT}t", headers=headers, content=body)) == expected
    big = await client.put(f"{ROOT}big", headers=TEXT, content=b" " * 9 * 1024 * 1024)
    assert named(big) == (413, "too-large")
    assert (await client.get(f"{ROOT}t")).content == b"x"


@requirement("durable.producers")
async def test_a_producers_append_happens_once(client: httpx.AsyncClient) -> None:
    await client.put(f"{ROOT}t", headers=TEXT)

    async def post(epoch: int, seq: int, body: bytes, **more: str) -> httpx.Response:
        headers = TEXT | producer(epoch, seq) | more
        return await client.post(f"{ROOT}t", headers=headers, content=body)

    assert [(await post(0, n, b"ab"[n : n + 1])).status_code for n in (0, 1)] == [200, 200]
    repeated = await post(0, 0, b"never")
    assert (repeated.status_code, repeated.headers["Producer-Seq"]) == (204, "1")
    gap = await post(0, 3, b"never")
    assert named(gap) == (409, "producer-gap")
    assert gap.headers["Producer-Expected-Seq"] == "2"
    assert gap.headers["Producer-Received-Seq"] == "3"
    assert named(await post(1, 1, b"never")) == (400, "bad-request")
    assert (await post(1, 0, b"c")).status_code == 200
    fenced = await post(0, 2, b"never")
    assert (named(fenced), fenced.headers["Producer-Epoch"]) == ((403, "producer-fenced"), "1")
    closing = {"Stream-Closed": "true"}
    assert (await post(1, 1, b"d", **closing)).status_code == 200
    assert (await post(1, 1, b"never", **closing)).status_code == 204
    assert named(await post(1, 2, b"never", **closing)) == (409, "stream-closed")
    assert named(await post(0, 9, b"never")) == (403, "producer-fenced")
    assert (await client.get(f"{ROOT}t")).content == b"abcd"


@requirement("durable.etag")
async def test_an_etag_changes_with_data_and_with_closure(client: httpx.AsyncClient) -> None:
    await client.put(f"{ROOT}t", headers=TEXT, content=b"x")
    tags = [(await client.get(f"{ROOT}t")).headers["ETag"]]
    unchanged = await client.get(f"{ROOT}t", headers={"If-None-Match": f'"other", W/{tags[0]}'})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    for headers, body in ((TEXT, b"y"), ({"Stream-Closed": "true"}, b"")):
        await client.post(f"{ROOT}t", headers=headers, content=body)
        answer = await client.get(f"{ROOT}t", headers={"If-None-Match": tags[-1]})
        assert answer.status_code == 200
        tags.append(answer.headers["ETag"])
    assert len(set(tags)) == 3


@requirement("durable.delete")
async def test_a_deleted_path_is_absent_and_made_again_another_stream(
    client: httpx.AsyncClient,
) -> None:
    await client.put(f"{ROOT}t", headers=TEXT, content=b"old")
    tag = (await client.get(f"{ROOT}t")).headers["ETag"]
    assert (await client.delete(f"{ROOT}t")).status_code == 204
    for method in ("GET", "POST", "DELETE"):
        assert named(await client.request(method, f"{ROOT}t")) == (404, "not-found")
    await client.put(f"{ROOT}t", headers=TEXT, content=b"new")
    again = await client.get(f"{ROOT}t", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (200, b"new")


@requirement("durable.forks", "durable.delete")
async def test_a_fork_inherits_goes_its_own_way_and_outlives_its_source(
    client: httpx.AsyncClient,
) -> None:
    await client.put(f"{ROOT}source", headers=TEXT, content=b"ab")
    await client.post(f"{ROOT}source", headers=TEXT, content=b"cd")
    at = {"Stream-Forked-From": f"{ROOT}source", "Stream-Fork-Offset": offset_of(1)}
    fork = await client.put(f"{ROOT}f", headers=at | {"Stream-Fork-Sub-Offset": "1"})
    deeper = await client.put(f"{ROOT}g", headers={"Stream-Forked-From": f"{ROOT}f"}, content=b"!")
    assert (fork.status_code, deeper.status_code) == (201, 201)
    await client.post(f"{ROOT}f", headers=TEXT, content=b"?")
    await client.post(f"{ROOT}source", headers=TEXT, content=b"ef")
    assert (await client.delete(f"{ROOT}source")).status_code == 204
    assert (await client.delete(f"{ROOT}f")).status_code == 204
    for method in ("GET", "POST", "DELETE"):
        assert named(await client.request(method, f"{ROOT}source")) == (410, "stream-gone")
    assert named(await client.put(f"{ROOT}source", headers=TEXT)) == (409, "stream-conflict")
    more = await client.put(f"{ROOT}h", headers={"Stream-Forked-From": f"{ROOT}source"})
    assert named(more) == (409, "stream-conflict")
    assert (await client.get(f"{ROOT}g")).content == b"abc!"
    assert (await client.delete(f"{ROOT}g")).status_code == 204
    for path in ("source", "f", "g"):
        assert (await client.head(f"{ROOT}{path}")).status_code == 404


@requirement("durable.forks", "durable.json-mode")
async def test_a_fork_of_json_begins_after_any_value_of_a_large_array(
    client: httpx.AsyncClient,
) -> None:
    values = [b'{"n":%d}' % number for number in range(5000)]
    for many in (values[:3000], values[3000:]):
        await client.put(f"{ROOT}j", headers=JSON)
        await client.post(f"{ROOT}j", headers=JSON, content=b"[" + b",".join(many) + b"]")
    whole = await client.get(f"{ROOT}j")
    assert whole.content == b"[" + b",".join(values) + b"]"
    at = {"Stream-Forked-From": f"{ROOT}j", "Stream-Fork-Offset": offset_of(0)}
    for upto in (1, 2999, 3000, 3001, 5000):
        fork = at | {"Stream-Fork-Sub-Offset": str(upto)}
        assert (await client.put(f"{ROOT}f{upto}", headers=fork)).status_code == 201
        await client.post(f"{ROOT}f{upto}", headers=JSON, content=b'"own"')
        held = await client.get(f"{ROOT}f{upto}")
        assert held.content == b"[" + b",".join([*values[:upto], b'"own"']) + b"]"
    beyond = await client.put(f"{ROOT}f", headers=at | {"Stream-Fork-Sub-Offset": "5001"})
    assert named(beyond) == (400, "bad-request")


@requirement("durable.forks")
@pytest.mark.parametrize(
    ("fork", "expected"),
    [
        ({"Stream-Fork-Offset": offset_of(2)}, (400, "bad-request")),
        ({"Stream-Fork-Offset": offset_of(1), "Stream-Fork-Sub-Offset": "1"}, (400, "bad-request")),
        ({"Stream-Fork-Offset": offset_of(0), "Stream-Fork-Sub-Offset": "3"}, (400, "bad-request")),
        ({"Stream-Fork-Sub-Offset": "1"}, (400, "bad-request")),
        ({"Content-Type": "application/json"}, (409, "stream-conflict")),
        ({"Stream-Forked-From": f"{ROOT}nowhere"}, (404, "not-found")),
        ({"Stream-Forked-From": f"{ROOT}jobs/job_1"}, (403, "path-reserved")),
    ],
)
async def test_a_fork_that_cannot_be_holds_nothing_of_its_source(
    client: httpx.AsyncClient, fork: dict[str, str], expected: tuple[int, str]
) -> None:
    await client.put(f"{ROOT}source", headers=TEXT, content=b"ab")
    headers = {"Stream-Forked-From": f"{ROOT}source"} | fork
    assert named(await client.put(f"{ROOT}f", headers=headers)) == expected
    await client.delete(f"{ROOT}source")
    assert (await client.head(f"{ROOT}source")).status_code == 404


@requirement("durable.own-paths")
async def test_a_path_is_its_callers_own(running: Service, client: httpx.AsyncClient) -> None:
    bob, carl = await running.client("local", "bob"), await running.client("other", "ann")
    await client.put(f"{ROOT}mine", headers=TEXT, content=b"ann's")
    never_was = (await client.get(f"{ROOT}nothing")).json()
    for other in (bob, carl):
        answers = [await other.request(m, f"{ROOT}mine") for m in ("GET", "POST", "DELETE")]
        answers.append(await other.get(f"{ROOT}mine?offset=-1&live=sse"))
        for answer in answers:
            assert answer.json() | {"instance": ""} == never_was | {"instance": ""}
        forked = await other.put(f"{ROOT}f", headers={"Stream-Forked-From": f"{ROOT}mine"})
        assert named(forked) == (404, "not-found")
        await other.put(f"{ROOT}mine", headers=TEXT, content=b"another's")
        assert (await client.get(f"{ROOT}mine")).content == b"ann's"


@requirement("durable.reserved")
async def test_reserved_paths_are_403(client: httpx.AsyncClient) -> None:
    for path in ("jobs/job_1", "jobs", "__ds/x", "__ds"):
        for method in ("PUT", "POST", "DELETE"):
            refused = await client.request(method, f"{ROOT}{path}", headers=TEXT)
            assert named(refused) == (403, "path-reserved")
    too_long = await client.put(f"{ROOT}{'x' * 2000}", headers=TEXT)
    assert named(too_long) == (400, "bad-request")


@requirement("durable.audited")
async def test_what_is_accepted_is_audited_and_what_cannot_be_does_not_happen(
    running: Service, client: httpx.AsyncClient
) -> None:
    await client.put(f"{ROOT}t", headers=TEXT, content=b"x")
    await client.post(f"{ROOT}t", headers=TEXT, content=b"y")
    await client.put(f"{ROOT}f", headers={"Stream-Forked-From": f"{ROOT}t"})
    await client.post(f"{ROOT}f", headers={"Stream-Closed": "true"})
    await client.delete(f"{ROOT}f")
    await client.post(f"{ROOT}t", headers=JSON, content=b"1")
    told = ["stream.create", "stream.append", "stream.fork", "stream.close", "stream.delete"]
    assert audited(running) == told
    await break_the_audit(running)
    for method, path in (("PUT", "new"), ("POST", "t"), ("DELETE", "t")):
        answer = await client.request(method, f"{ROOT}{path}", headers=TEXT, content=b"z")
        assert named(answer) == (503, "audit-unavailable")
    assert (await client.get(f"{ROOT}t")).content == b"xy"
    assert (await client.head(f"{ROOT}new")).status_code == 404


@requirement("durable.preflight")
async def test_a_preflight_is_answered_for_any_origin_without_credentials(
    running: Service,
) -> None:
    headers = {
        "Origin": "https://anywhere.example",
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "if-none-match, producer-id",
    }
    answer = await running.stranger().options(f"{ROOT}a/b", headers=headers)
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "PUT" in answer.headers["Access-Control-Allow-Methods"]
    allowed = answer.headers["Access-Control-Allow-Headers"].split(", ")
    assert {"if-none-match", "producer-id", "authorization"} <= set(allowed)
