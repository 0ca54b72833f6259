"""What every operation may refuse, proved once over all of them by a table."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx
import orjson
import pytest

from runtime import problems
from runtime.problems import Problem
from specs.requirements import requirement
from specs.support import talk
from specs.support.server import PROOF, Service, service
from transports.ingress.http import openai_errors
from transports.ingress.http.openapi import common
from transports.ingress.http.operation import Operation

PROBLEM = "application/problem+json"
JSON = {"Content-Type": "application/json"}
OPERATIONS = sorted(PROOF.operations.items())
NAMES = [f"{method} {path}" for (method, path), _ in OPERATIONS]
OWN_NAMES = ("/api/actions/preview", "/api/actions/callback")  # no set of actions has such a name
BODIES = {  # a body that each operation with one takes
    "create_conversation": b"{}",
    "start_job": b'{"input": "hello"}',
    "abort_job": b"{}",
    "answer_approval": b'{"answer": "approve"}',
    "call_tool": b"{}",
    "add_endpoint": b'{"name": "up", "base_url": "https://api.example/v1"}',
    "change_endpoint": b"{}",
    "test_endpoint": b"{}",
    "add_mcp_server": b'{"name": "up", "url": "https://mcp.example/mcp"}',
    "change_mcp_server": b"{}",
    "get_mcp_prompt": b'{"name": "greet"}',
    "preview_actions": b'{"document": "{}"}',
    "add_actions": b'{"name": "cats", "document": "{}"}',
    "change_actions": b"{}",
    "create_response": b'{"model": "echo", "input": "hello"}',
    "compact_response": b'{"model": "echo", "input": "hello"}',
    "count_input_tokens": b'{"model": "echo", "input": "hello"}',
    "cancel_response": b"{}",
    "create_thread": b"{}",
    "put_model_facts": b"{}",
    "answer_ui_chat": b'{"id": "c", "messages": [{"role": "user", "parts": []}]}',
    "create_completion": b'{"model": "echo", "messages": [{"role": "user", "content": "hello"}]}',
    "update_thread": b'{"metadata": {}}',
    "put_items": b'{"items": [{"type": "message", "role": "user", "content": "hello"}]}',
    "put_subscription": b'{"type": "pull-wake", "pattern": "a/*", "wake_stream": "wakes"}',
    "add_subscription_streams": b'{"streams": ["a/b"]}',
    "claim_subscription": b'{"worker": "one"}',
    "ack_subscription": b'{"wake_id": "wake_1", "generation": 1}',
    "call_subscription_back": b'{"wake_id": "wake_1", "generation": 1}',
    "release_subscription": b'{"wake_id": "wake_1", "generation": 1}',
}


@pytest.fixture
async def running() -> AsyncIterator[Service]:
    async with service() as running:
        yield running


def addressed(path: str) -> str:
    named = {"{id}": "job_of_nobody", "{name}": "no-such-file.js", "{item}": "item_of_nobody"}
    for place, name in named.items():
        path = path.replace(place, name)
    return path


def where(wanted: type[Problem]) -> list[object]:
    """Return the operations that may refuse so."""
    return [
        pytest.param(method, path, known, id=f"{method} {path}")
        for (method, path), known in OPERATIONS
        if wanted in common(path, known)
    ]


def told(kind: type[Problem], path: str = "") -> tuple[int, str, str]:
    """Return how a refusal is told at a path: as a problem, or in OpenAI's shape on its paths."""
    if openai_errors.speaks(path):
        return openai_errors.status_of(kind), "application/json", openai_errors.code_of(kind)
    return kind.status, PROBLEM, kind.name()


def named(answer: httpx.Response) -> tuple[int, str, str]:
    """Return status, media type and name of a refusal."""
    told = answer.json()
    if "error" in told and "type" not in told:
        return answer.status_code, answer.headers["Content-Type"], told["error"]["code"]
    assert told["instance"] == f"urn:request:{answer.headers['X-Request-Id']}"
    assert told["status"] == answer.status_code
    return answer.status_code, answer.headers["Content-Type"], told["type"].rpartition(":")[2]


async def send(
    client: httpx.AsyncClient, method: str, path: str, known: Operation, **more: object
) -> httpx.Response:
    """Send a request that is right but for what the spec makes wrong in it."""
    headers = {"Accept": "text/event-stream"} if known.streams == "only" else {}
    body = BODIES.get(known.name)
    given: dict[str, object] = {"content": body, "headers": headers | (JSON if body else {})}
    for name, value in more.items():
        mine = given.get(name)
        both = isinstance(mine, dict) and isinstance(value, dict)
        given[name] = {**mine, **value} if both else value  # type: ignore[dict-item]
    return await client.request(method, addressed(path), **given)  # type: ignore[arg-type]


@requirement("http.no-token", "http.refusals-documented-once", "http.problem-instance")
@pytest.mark.parametrize(("method", "path", "known"), where(problems.Unauthenticated))
async def test_nobody_we_know_is_401_with_bearer(
    running: Service, method: str, path: str, known: Operation
) -> None:
    for headers in (
        {},
        {"Authorization": "Bearer " + 64 * "0"},
        {"Authorization": "Basic YTpi"},
        {"Cookie": "runchat_session=" + 64 * "0"},
    ):
        refused = await send(running.stranger(), method, path, known, headers=headers)
        assert named(refused) == told(problems.Unauthenticated, path)
        assert refused.headers["WWW-Authenticate"] == "Bearer"


@requirement("http.refusals-documented-once", "http.problem")
@pytest.mark.parametrize(("method", "path", "known"), where(problems.NotFound))
async def test_what_is_not_there_for_the_caller_is_404(
    running: Service, method: str, path: str, known: Operation
) -> None:
    refused = await send(await running.client(), method, path, known)
    assert named(refused) == told(problems.NotFound, path)


@requirement("http.host")
@pytest.mark.parametrize(("method", "path", "known"), where(problems.HostNotAllowed))
async def test_a_wrong_host_is_421(
    running: Service, method: str, path: str, known: Operation
) -> None:
    headers = {"Host": f"evil.example:{running.port}"}
    refused = await send(await running.client(), method, path, known, headers=headers)
    assert named(refused) == told(problems.HostNotAllowed, path)


@requirement("http.origin")
@pytest.mark.parametrize(("method", "path", "known"), where(problems.OriginNotAllowed))
async def test_a_foreign_origin_is_403(
    running: Service, method: str, path: str, known: Operation
) -> None:
    headers = {"Origin": "https://evil.example"}
    refused = await send(await running.client(), method, path, known, headers=headers)
    assert named(refused) == told(problems.OriginNotAllowed, path)
    assert "Access-Control-Allow-Origin" not in refused.headers


@requirement("http.wrong-method", "http.refusals-documented-once")
@pytest.mark.parametrize("path", sorted({path for _, path in PROOF.operations}))
async def test_a_wrong_method_is_405_with_those_allowed(running: Service, path: str) -> None:
    method = next(each for each in ("PATCH", "PUT") if (each, path) not in PROOF.operations)
    refused = await (await running.client()).request(method, addressed(path))
    assert named(refused) == told(problems.MethodNotAllowed, path)
    fits = [
        each
        for _, each in PROOF.operations
        if re.fullmatch(re.sub(r"\{[a-z]+\}", "[^/]+", each), addressed(path))
    ]
    fits = [path] if path in OWN_NAMES else fits
    known = {method for method, each in PROOF.operations if each in fits}
    allowed = set(refused.headers["Allow"].split(", "))
    assert allowed - {"HEAD"} == known


@requirement("http.not-acceptable")
@pytest.mark.parametrize(("method", "path", "known"), where(problems.NotAcceptable))
async def test_an_accept_that_cannot_be_met_is_406(
    running: Service, method: str, path: str, known: Operation
) -> None:
    client = await running.client(admin=True)
    headers = {"Accept": "image/png"}
    refused = await send(client, method, path, known, headers=headers)
    assert named(refused) == told(problems.NotAcceptable, path)


@requirement("http.bad-json")
@pytest.mark.parametrize(("method", "path", "known"), where(problems.BadJson))
async def test_a_body_that_is_no_json_is_400(
    running: Service, method: str, path: str, known: Operation
) -> None:
    for body in (b"{", b"\xff\xfe", b"[" * 100_000, b'{"a": NaN}'):
        refused = await send(await running.client(admin=True), method, path, known, content=body)
        assert named(refused) == told(problems.BadJson, path)


@requirement("http.wrong-media-type", "http.refusals-documented-once")
@pytest.mark.parametrize(("method", "path", "known"), where(problems.MediaTypeNotSupported))
async def test_another_media_type_is_415(
    running: Service, method: str, path: str, known: Operation
) -> None:
    wrong = [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=x"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ]
    for headers in wrong:
        client = await running.client(admin=True)
        refused = await send(client, method, path, known, headers=headers)
        assert named(refused) == told(problems.MediaTypeNotSupported, path)


@requirement("http.too-large", "http.refusals-documented-once")
@pytest.mark.parametrize(("method", "path", "known"), where(problems.TooLarge))
async def test_a_body_over_8_mib_is_413_and_the_next_request_is_not_misread(
    running: Service, method: str, path: str, known: Operation
) -> None:
    async def in_chunks() -> AsyncIterator[bytes]:
        for _ in range(9):
            yield b" " * 1024 * 1024

    client = await running.client(admin=True)
    for body in (b" " * 9 * 1024 * 1024, in_chunks()):
        refused = await send(client, method, path, known, content=body)
        assert named(refused) == told(problems.TooLarge, path)
        assert (await client.get("/api/session")).json()["user"] == "ann"


@requirement("http.wrong-fields", "http.unknown-field", "http.refusals-documented-once")
@pytest.mark.parametrize(("method", "path", "known"), where(problems.BadJson))
async def test_json_that_is_not_what_is_taken_is_422_with_pointers(
    running: Service, method: str, path: str, known: Operation
) -> None:
    body = orjson.dumps({**orjson.loads(BODIES[known.name]), "no_such_field": 1})
    refused = await send(await running.client(admin=True), method, path, known, content=body)
    if openai_errors.speaks(path):
        code = refused.json()["error"]["code"]
        assert (refused.status_code, code) == (400, "unknown_parameter")
        return
    assert named(refused) == told(problems.Invalid, path)
    pointers = {each["pointer"] for each in refused.json()["errors"]}
    assert "/no_such_field" in pointers


@requirement("http.busy", "http.refusals-documented-once")
async def test_too_many_and_too_busy_say_when_to_try_again(running: Service) -> None:
    client = await running.client()
    conversation = await talk.begin(client)
    running.services.desk.closing = True
    refused = await talk.ask(client, conversation, model="echo")
    assert named(refused) == (503, PROBLEM, "shutting-down")
    assert int(refused.headers["Retry-After"]) == problems.ShuttingDown.retry_after_s


@requirement("http.unknown-path", "http.no-html-no-stack")
@pytest.mark.parametrize(
    "path", ["/nope/nope", "/api", "/api/nope", "/%00", "/..%2f", "/api//jobs"]
)
async def test_an_unknown_address_is_404_as_a_problem(running: Service, path: str) -> None:
    refused = await running.stranger().get(path)
    assert named(refused) == (404, PROBLEM, "not-found")


def test_every_operation_is_in_the_table() -> None:
    assert {known.name for (_, _), known in OPERATIONS if known.body.__name__ != "Nothing"} == set(
        BODIES
    )
    assert len(NAMES) == len(set(NAMES))
