"""What every answer carries, who may ask from where, and how a browser signs in."""

from __future__ import annotations

import re

import httpx
import pytest
import trio
import trio.testing

from runtime.settings import Server
from specs.requirements import requirement
from specs.support import talk, wire
from specs.support.faults import break_the_audit
from specs.support.server import Service, service
from transports.ingress.http.routes import page

APP = "https://app.example.org"
JSON = {"Content-Type": "application/json"}


@requirement("http.request-id")
async def test_every_answer_has_its_own_request_id() -> None:
    trace = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
    async with service() as running:
        client = await running.client()
        answers = [
            await client.get("/api/health"),
            await client.get("/api/session", headers=trace),
            await client.get("/api/session", headers={"traceparent": "nonsense"}),
            await client.get("/"),
            await client.get("/no-such-file"),
            await client.request("PATCH", "/api/jobs"),
            await client.get("/api/session", headers={"Host": "evil.example"}),
        ]
    ids = [answer.headers["X-Request-Id"] for answer in answers]
    assert [each.status_code for each in answers] == [200, 200, 200, 200, 404, 405, 421]
    assert len({each for each in ids if re.fullmatch(r"req_[0-9a-z]{26}", each)}) == len(answers)


@requirement("http.host")
@pytest.mark.parametrize("bytes_first", [8, 10_000])  # which are read on two ways
@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        ("http://evil.example/api/health", "OURS", 421),
        ("HTTPS://evil.example/api/health", "OURS", 421),
        ("http://me@OURS/api/health", "OURS", 421),
        ("http:///api/health", "OURS", 421),
        ("http://OURS/api/health", "evil.example", 200),
        ("http://OURS?q=1", "evil.example", 200),
        ("http://OURS", "OURS", 200),
        ("/api/health", "OURS", 200),
        ("ftp://OURS/api/health", "OURS", 400),
        ("api/health", "OURS", 400),
    ],
)
async def test_a_target_that_names_a_host_counts_for_more_than_the_header(
    target: str, host: str, status: int, bytes_first: int
) -> None:
    async with service() as running, wire.line(running) as stream:
        ours = f"127.0.0.1:{running.port}"
        place, named = target.replace("OURS", ours), host.replace("OURS", ours)
        sent = wire.request(running, "GET", place, host=named)
        await stream.send_all(sent[:bytes_first])
        await trio.testing.wait_all_tasks_blocked(0.01)
        await stream.send_all(sent[bytes_first:])
        answer = await wire.receive_until(stream, b"\r\n\r\n")
    assert answer.partition(b"\r\n")[0] == f"HTTP/1.1 {status} ".encode()


@requirement("http.host")
async def test_a_websocket_is_for_the_host_of_its_target_too() -> None:
    upgrade = (
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    async with service() as running, wire.line(running) as stream:
        place = "http://evil.example/v1/responses"
        await stream.send_all(wire.request(running, "GET", place, *upgrade))
        answer = await wire.receive_until(stream, b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 421 ")


async def test_every_answer_tells_the_browser_to_be_careful() -> None:
    async with service() as running:
        client = await running.client()
        api, shown = await client.get("/api/session"), await client.get("/")
        refused = await client.get("/api/jobs/x")

    for answer in (api, shown, refused):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Server" not in answer.headers
    for answer in (api, refused):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Content-Security-Policy"] == (
            "default-src 'none'; frame-ancestors 'none'"
        )
    assert shown.headers["Content-Security-Policy"].startswith(
        "default-src 'none'; script-src 'self'; style-src 'self'; "
    )


@requirement("health.open")
async def test_health_needs_no_token() -> None:
    async with service() as running:
        answer = await running.stranger().get("/api/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "version": "0.1.0"})


@requirement("health.actors", "health.metrics", "http.admin-only")
async def test_an_admin_sees_actors_and_metrics_and_nobody_else_does() -> None:
    async with service() as running:
        client, admin = await running.client(), await running.client(user="root", admin=True)
        job_id = await talk.asked(client, await talk.begin(client), model="echo")
        await talk.follow(client, job_id)
        unknown = (await client.get("/nope")).json()
        for path in ("/metrics", "/api/health/actors"):
            refused = (await client.get(path)).json()
            assert refused | {"instance": ""} == unknown | {"instance": ""}
        actors = (await admin.get("/api/health/actors")).json()["actors"]
        metrics = await admin.get("/metrics")

    assert sorted(actors[0]) == ["key", "lives", "state", "supervisor", "waiting"]
    assert {each["supervisor"] for each in actors} >= {"conversations", "providers"}
    assert metrics.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert 'runchat_jobs_total{status="completed"} 1' in metrics.text.split("\n")
    assert [name for name in ("ann", "local", "job_", "conv_") if name in metrics.text] == []


@requirement("http.cors")
async def test_a_listed_origin_is_let_in_with_a_token_and_not_with_a_cookie() -> None:
    async with service(settings=Server(cors_origins=(APP,))) as running:
        client = await running.client()
        browser = await signed_in(running)
        allowed = await client.get("/api/session", headers={"Origin": APP})
        refused = await browser.get("/api/session", headers={"Origin": APP})
        stranger = await client.get("/api/session", headers={"Origin": "https://evil.example"})
        asked = {
            "Origin": APP,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, content-type",
        }
        preflight = await running.stranger().options("/api/conversations", headers=asked)
        without = asked | {"Access-Control-Request-Headers": "content-type"}
        bare = await running.stranger().options("/api/conversations", headers=without)

    statuses = [each.status_code for each in (allowed, refused, stranger, preflight, bare)]
    assert statuses == [200, 403, 403, 204, 403]
    assert allowed.headers["Access-Control-Allow-Origin"] == APP
    assert allowed.headers["Vary"] == "Origin"
    assert "Access-Control-Allow-Credentials" not in allowed.headers
    assert "authorization" in preflight.headers["Access-Control-Allow-Headers"]
    assert [
        each for each in (refused, stranger) if "Access-Control-Allow-Origin" in each.headers
    ] == []


async def signed_in(running: Service) -> httpx.AsyncClient:
    """Return a browser that has followed a sign-in link."""
    browser = running.stranger()
    answer = await browser.get(f"/signin?code={await running.code()}")
    assert answer.status_code == 303
    return browser


@requirement("signin.cookie")
async def test_a_link_signs_a_browser_in() -> None:
    async with service() as running:
        await running.client()  # makes the user
        browser = running.stranger()
        answer = await browser.get(f"/signin?code={await running.code()}")
        who = (await browser.get("/api/session")).json()

    name, *attributes = answer.headers["Set-Cookie"].split("; ")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert name.startswith("runchat_session=")
    assert {"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=2592000"} <= set(attributes)
    assert "Secure" not in attributes
    assert who == {"tenant": "local", "user": "ann", "admin": False}


@requirement("signin.single-use", "audit.fail-closed")
async def test_a_link_that_is_spent_unknown_or_cannot_be_audited_signs_nobody_in() -> None:
    async with service() as running:
        await running.client()
        spent, unspent = await running.code(), await running.code()
        browser = running.stranger()
        answers = [await browser.get(f"/signin?code={spent}") for _ in range(2)]
        answers.append(await browser.get("/signin?code=nobody-made-this"))
        answers.append(await browser.get("/signin"))
        await break_the_audit(running)
        answers.append(await running.stranger().get(f"/signin?code={unspent}"))
        kept = await browser.delete("/api/session", headers={"Origin": running.url})
        who = await browser.get("/api/session")

    assert [each.status_code for each in answers] == [303, 401, 401, 401, 503]
    assert [each for each in answers[1:] if "Set-Cookie" in each.headers] == []
    assert (kept.status_code, who.status_code) == (503, 200)


@requirement("signin.single-use")
async def test_a_look_at_a_link_signs_nobody_in_and_leaves_it_good() -> None:
    async with service() as running:
        await running.client()
        link = f"/signin?code={await running.code()}"
        looked, came = await running.stranger().head(link), await running.stranger().get(link)
    assert (looked.status_code, "Set-Cookie" in looked.headers) == (303, False)
    assert (came.status_code, "Set-Cookie" in came.headers) == (303, True)


async def test_a_stopping_service_begins_no_conversation() -> None:
    async with service() as running:
        client = await running.client()
        running.services.desk.closing = True
        refused = await client.post("/api/conversations", json={})

    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")


@requirement("settings.forwarded")
async def test_behind_a_trusted_proxy_the_cookie_is_secure_and_the_origin_is_the_proxys() -> None:
    told = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "chat.example.org"}
    known = Server(public_url="https://chat.example.org", trusted_proxies=("127.0.0.0/8",))
    async with service(settings=known) as running:
        await running.client()
        code = await running.code()
        answer = await running.stranger(told).get(f"/signin?code={code}")
        cookie = {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}
        own = {**told, **cookie, "Origin": "https://chat.example.org"}
        made = await running.stranger(own).post("/api/conversations", json={})
        wrong = await running.stranger({**own, "Origin": "http://chat.example.org"}).post(
            "/api/conversations", json={}
        )
    async with service() as running:
        believed = await running.stranger(told).get("/api/health")
        lied = await running.stranger({"Host": "chat.example.org"} | told).get("/api/health")

    assert "Secure" in answer.headers["Set-Cookie"].split("; ")
    assert [made.status_code, wrong.status_code] == [201, 403]
    assert [believed.status_code, lied.status_code] == [200, 421]


@requirement("signin.cookie-wants-origin")
async def test_a_cookie_changes_something_only_from_our_own_page() -> None:
    async with service() as running:
        await running.client()
        browser = await signed_in(running)
        own = running.url
        origins = {
            None: 403,
            own: 201,
            own.replace("127.0.0.1", "localhost"): 403,
            f"http://127.0.0.1:{running.port + 1}": 403,
            own.replace("http:", "https:"): 403,
            "null": 403,
        }
        for origin, expected in origins.items():
            headers = {"Origin": origin} if origin else {}
            answer = await browser.post("/api/conversations", json={}, headers=headers)
            assert (origin, answer.status_code) == (origin, expected)
        assert (await browser.get("/api/conversations")).status_code == 200
        gone = await browser.delete("/api/session", headers={"Origin": own})
        after = await browser.get("/api/session")

    assert (gone.status_code, after.status_code) == (204, 401)
    assert "Max-Age=0" in gone.headers["Set-Cookie"]


@requirement("lists.limit", "lists.bad-cursor")
async def test_a_list_has_its_bounds() -> None:
    async with service() as running:
        client = await running.client()
        conversation = await talk.begin(client)
        for _ in range(30):
            await talk.begin(client)
        lists = ["/api/conversations", "/api/jobs", f"/api/conversations/{conversation}/messages"]
        for path in lists:
            for query in ("limit=0", "limit=101", "limit=ten", "cursor=nobody-gave-this"):
                refused = await client.get(f"{path}?{query}")
                place = "/" + query.partition("=")[0]
                told = (refused.status_code, refused.json()["errors"][0]["pointer"])
                assert (path, *told) == (path, 422, place)
        sizes = [
            len((await client.get(f"/api/conversations{query}")).json()["items"])
            for query in ("", "?limit=1", "?limit=100")
        ]

    assert sizes == [25, 1, 31]


@requirement("http.odd-text")
@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (b'{"input": "a\\u0000b"}', "/input"),
        (b'{"input": "\\ud83d"}', "/input"),
        (b'{"input": "ok", "options": {"a": "\\udc00"}}', "/options/a"),
        (b'{"input": "ok", "\\ud83d": 1}', "/\\ud83d"),
    ],
)
async def test_text_that_nobody_could_keep_is_422(raw: bytes, place: str) -> None:
    async with service() as running:
        client = await running.client()
        path = f"/api/conversations/{await talk.begin(client)}/jobs"
        refused = await client.post(path, content=raw, headers=JSON)

    assert refused.status_code == 422
    assert [each["pointer"] for each in refused.json()["errors"]] == [place]


@requirement("http.odd-text")
async def test_text_that_can_be_kept_comes_back_exactly() -> None:
    said = "é\u2028\u202e😀\x7f\t\r\n\ufeff\U0010ffff"
    async with service() as running:
        client = await running.client()
        conversation = await talk.begin(client)
        await talk.follow(client, await talk.asked(client, conversation, said, model="echo"))
        question, answer = await talk.messages(client, conversation)

    assert question["parts"] == [{"type": "text", "text": said}]
    assert answer["parts"] == [{"type": "text", "text": said}]


@requirement("http.no-html-no-stack")
async def test_a_bug_is_a_problem_that_says_nothing() -> None:
    async with service() as running:
        client = await running.client()
        running.services.tree.supervisors = None  # type: ignore[assignment]
        admin = await running.client(user="root", admin=True)
        answer = await admin.get("/api/health/actors")
        alive = await client.get("/api/session")

    assert (answer.status_code, alive.status_code) == (500, 200)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["detail"] == "Something went wrong here; it has been logged."
    assert answer.json()["type"] == "urn:runchat:problem:internal-error"


async def test_the_page_is_served_with_its_types_and_asked_for_again() -> None:
    async with service() as running:
        stranger = running.stranger()
        for name in page.files():
            answer = await stranger.get(f"/{name}")
            again = await stranger.get(
                f"/{name}", headers={"If-None-Match": answer.headers["ETag"]}
            )
            assert (answer.status_code, again.status_code) == (200, 304)
            assert answer.content == (page.FOLDER / name).read_bytes()
            assert again.content == b""
            assert answer.headers["Cache-Control"] == "no-cache"
        index = await stranger.get("/")
        again = await stranger.get("/", headers={"If-None-Match": index.headers["ETag"]})
        script = await stranger.get("/main.js")
        inside = await stranger.get("/..%2f__init__.py")

    assert (index.status_code, again.status_code, inside.status_code) == (200, 304, 404)
    assert index.headers["Content-Type"] == "text/html; charset=utf-8"
    assert script.headers["Content-Type"] == "text/javascript; charset=utf-8"


async def test_models_and_endpoints_are_listed() -> None:
    async with service() as running:
        client = await running.client()
        models = (await client.get("/api/models")).json()
        endpoints = (await client.get("/api/endpoints")).json()

    assert models["default"] == "echo"
    assert [each["id"] for each in models["items"]] == ["echo", "synthetic/tokens"]
    assert models["items"][0] == {
        "id": "echo",
        "endpoint": "echo",
        "context": None,
        "output_limit": None,
        "abilities": ["text", "tools"],
        "inputs": None,
        "efforts": None,
        "ends_on": None,
        "prices": None,
    }
    assert [each["name"] for each in endpoints["items"]] == ["echo", "synthetic"]
