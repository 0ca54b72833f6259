"""Endpoints that an admin adds: at once, their keys sealed, the running jobs undisturbed."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import trio

from harness.upstream.program import Upstream
from harness.upstream.script import Script
from runtime.secret import Secret
from runtime.settings import Endpoint
from specs.requirements import requirement
from specs.support import talk
from specs.support.faults import break_the_audit
from specs.support.process import served
from specs.support.server import Service, service
from store import endpoints
from store.keyring import Keyring
from store.writer import Write
from transports.ingress.http.routes.endpoints import EndpointChange

KEY = "sk-canary-0123456789"


@asynccontextmanager
async def beside_an_upstream(
    tmp_path: Path, **scripts: Script
) -> AsyncIterator[tuple[Service, httpx.AsyncClient, Upstream, dict[str, Any]]]:
    """Run a service and an upstream; yield an admin's client and the body that adds it."""
    upstream = Upstream({"m": Script(text="Hello there."), **scripts})
    async with service(data=tmp_path) as running, trio.open_nursery() as nursery:
        port = await nursery.start(upstream.serve)
        admin = await running.client(admin=True)
        body = {
            "name": "up",
            "base_url": f"http://127.0.0.1:{port}/v1",
            "models": list(upstream.scripts),
            "api_key": KEY,
            "allow_loopback": True,
        }
        with trio.fail_after(20):
            yield running, admin, upstream, body
        nursery.cancel_scope.cancel()


def test_every_setting_of_an_endpoint_can_be_given_over_http() -> None:
    assert {each.name for each in fields(EndpointChange)} == {
        each.name for each in fields(Endpoint)
    }


@requirement("endpoints.add")
async def test_an_added_endpoint_answers_at_once_with_its_key(tmp_path: Path) -> None:
    async with beside_an_upstream(tmp_path) as (_, admin, upstream, body):
        added = await admin.post("/api/endpoints", json=body)
        job_id = await talk.asked(admin, await talk.begin(admin), "Hi", model="up/m")
        await talk.follow(admin, job_id)
        said = talk.text_of(await talk.job(admin, job_id))

        assert added.status_code == 201
        assert added.json()["models"] == ["up/hello", "up/m"]
        assert said == "Hello there."
        assert upstream.records[0].headers["authorization"] == f"Bearer {KEY}"


@requirement("endpoints.key-sealed")
async def test_a_key_never_comes_back_and_is_nowhere_in_the_clear(tmp_path: Path) -> None:
    async with beside_an_upstream(tmp_path) as (running, admin, _, body):
        answers = [
            await admin.post("/api/endpoints", json=body),
            await admin.get("/api/endpoints"),
            await admin.get("/api/endpoints/up"),
            await admin.patch("/api/endpoints/up", json={"concurrency": 3}),
        ]
        rows = running.services.reader.execute("SELECT * FROM endpoint").fetchall()

        assert [answer.status_code for answer in answers] == [201, 200, 200, 200]
        assert [KEY in answer.text for answer in answers] == [False] * 4
        assert answers[2].json()["has_key"] is True
        assert KEY.encode() not in b"".join(each for each in rows[0] if isinstance(each, bytes))


@requirement("endpoints.change")
async def test_a_change_counts_for_the_next_job_and_the_running_one_goes_on(
    tmp_path: Path,
) -> None:
    slow = Script(text="one two three four", delay_s=0.05)
    async with beside_an_upstream(tmp_path, slow=slow) as (_, admin, upstream, body):
        await admin.post("/api/endpoints", json=body)
        job_id = await talk.asked(admin, await talk.begin(admin), "Hi", model="up/slow")
        while not upstream.records:
            await trio.lowlevel.checkpoint()
        changed = await admin.patch("/api/endpoints/up", json={"models": ["m"]})
        events = await talk.follow(admin, job_id)
        conversation = await talk.begin(admin)
        refused = await admin.post(
            f"/api/conversations/{conversation}/jobs", json={"input": "Hi", "model": "up/slow"}
        )

        assert changed.json()["models"] == ["up/m"]
        assert events[-1]["data"]["status"] == "completed"
        assert talk.text_of(await talk.job(admin, job_id)) == "one two three four"
        assert refused.status_code == 422


@requirement("endpoints.moved-key")
async def test_another_address_wants_the_key_again(tmp_path: Path) -> None:
    async with beside_an_upstream(tmp_path) as (_, admin, _, body):
        await admin.post("/api/endpoints", json=body)
        elsewhere = {"base_url": "https://elsewhere.example/v1"}
        bare = await admin.patch("/api/endpoints/up", json=elsewhere)
        whole = await admin.patch("/api/endpoints/up", json={**elsewhere, "api_key": "other"})

        assert (bare.status_code, whole.status_code) == (422, 200)
        assert bare.json()["errors"][0]["pointer"] == "/api_key"


@requirement("endpoints.remove")
async def test_a_removed_endpoint_is_gone_with_its_key(tmp_path: Path) -> None:
    async with beside_an_upstream(tmp_path) as (running, admin, _, body):
        await admin.post("/api/endpoints", json=body)
        removed = await admin.delete("/api/endpoints/up")
        again = await admin.delete("/api/endpoints/up")
        models = [each["id"] for each in (await admin.get("/api/models")).json()["items"]]

        assert (removed.status_code, again.status_code) == (204, 404)
        assert "up/m" not in models
        assert running.services.reader.execute("SELECT * FROM endpoint").fetchall() == []


@requirement("endpoints.fixed")
async def test_a_taken_name_and_a_built_in_endpoint_are_not_changed(tmp_path: Path) -> None:
    async with beside_an_upstream(tmp_path) as (_, admin, _, body):
        await admin.post("/api/endpoints", json=body)
        twice = await admin.post("/api/endpoints", json=body)
        statuses = [
            twice.status_code,
            (await admin.post("/api/endpoints", json={**body, "name": "echo"})).status_code,
            (await admin.patch("/api/endpoints/echo", json={"concurrency": 1})).status_code,
            (await admin.delete("/api/endpoints/echo")).status_code,
            (await admin.get("/api/endpoints/nobody")).status_code,
        ]
        assert statuses == [409, 422, 409, 409, 404]
        assert twice.json()["type"] == "urn:runchat:problem:endpoint-exists"


@requirement("endpoints.admin")
async def test_only_an_admin_changes_endpoints_or_sees_where_they_are(tmp_path: Path) -> None:
    async with beside_an_upstream(tmp_path) as (running, admin, _, body):
        await admin.post("/api/endpoints", json=body)
        bob = await running.client(user="bob")
        statuses = [
            (await bob.post("/api/endpoints", json=body)).status_code,
            (await bob.patch("/api/endpoints/up", json={"concurrency": 1})).status_code,
            (await bob.post("/api/endpoints/up/test", json={})).status_code,
            (await bob.delete("/api/endpoints/up")).status_code,
        ]
        seen = (await bob.get("/api/endpoints/up")).json()

        assert statuses == [404, 404, 404, 404]
        assert (seen["base_url"], seen["has_key"], seen["profile"]) == (None, None, None)


@requirement("endpoints.invalid")
async def test_what_cannot_be_is_refused_with_its_place(tmp_path: Path) -> None:
    async with beside_an_upstream(tmp_path) as (_, admin, _, body):
        wrong = {"base_url": "ftp://x", "wire": "telepathy", "concurrency": 0, "name": "Up!"}
        places = {}
        for field, value in wrong.items():
            refused = await admin.post("/api/endpoints", json={**body, field: value})
            places[field] = (refused.status_code, refused.json()["errors"][0]["pointer"])

        assert places == {field: (422, f"/{field}") for field in wrong}


@requirement("endpoints.invalid")
@pytest.mark.parametrize(
    ("field", "value", "pointer"),
    [
        ("api_key", "sk-0123\n", "/api_key"),
        ("api_key", "sk-0123 4567", "/api_key"),
        ("api_key", "sk-01\u00e9", "/api_key"),
        ("models", ["m", ""], "/models/1"),
        ("models", ["a/../m"], "/models/0"),
        ("models", ["a\nm"], "/models/0"),
        ("base_url", "https://llm.example/v1?key=1", "/base_url"),
        ("base_url", "https://llm.example/v1#1", "/base_url"),
        ("base_url", "https://me@llm.example/v1", "/base_url"),
    ],
)
async def test_what_nobody_could_be_asked_with_is_refused_where_it_is_given(
    tmp_path: Path, field: str, value: object, pointer: str
) -> None:
    async with beside_an_upstream(tmp_path) as (_, admin, _, body):
        fresh = await admin.post("/api/endpoints", json={**body, field: value})
        await admin.post("/api/endpoints", json=body)
        given = {"api_key": "sk-new", field: value}
        changed = await admin.patch("/api/endpoints/up", json=given)
        for refused in (fresh, changed):
            assert refused.status_code == 422
            assert [each["pointer"] for each in refused.json()["errors"]] == [pointer]
            assert "sk-0" not in refused.text
        tested = await admin.post("/api/endpoints/up/test", json={"model": "up/m"})
        assert tested.json()["profile"]["ok"] is True


async def test_what_was_let_in_before_is_shown_and_its_key_is_to_be_given_again(
    tmp_path: Path,
) -> None:
    async with beside_an_upstream(tmp_path) as (running, admin, _, body):
        await admin.post("/api/endpoints", json=body)
        row = endpoints.get(running.services.reader, "up")
        assert row is not None, "it has been added"
        old = replace(
            row,
            settings=orjson.dumps({**orjson.loads(row.settings), "models": ["m", "a b"]}),
            sealed_key=Keyring(tmp_path).seal(Secret("sk-0123\n"), "endpoint/up"),
        )
        await running.services.writer.write(Write(rows=lambda db: endpoints.put(db, old)))
        running.services.desk.endpoints.stand()
        shown = (await admin.get("/api/endpoints/up")).json()
        tested = await admin.post("/api/endpoints/up/test", json={"model": "up/m"})
        given = await admin.patch("/api/endpoints/up", json={"api_key": KEY, "models": ["m"]})

    assert (shown["state"], shown["models"]) == ("key-lost", ["up/m", "up/a b"])
    assert tested.status_code == 200
    assert given.json()["state"] == "ready"


@requirement("endpoints.test")
async def test_a_test_says_what_an_endpoint_can_do_or_why_not(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 1}
    scripts = {
        "counts": Script(text="ready", usage=usage),
        "cut": Script(text="rea dy", cut_events=2),
        "denied": Script(status=401, error={"error": {"message": "No.", "code": "bad_key"}}),
    }
    async with beside_an_upstream(tmp_path, **scripts) as (_, admin, _, body):
        await admin.post("/api/endpoints", json=body)
        found = {}
        for model in ("counts", "cut", "denied"):
            tested = await admin.post("/api/endpoints/up/test", json={"model": f"up/{model}"})
            found[model] = tested.json()["profile"]
        kept = (await admin.get("/api/endpoints/up")).json()["profile"]
        unknown = await admin.post("/api/endpoints/up/test", json={"model": "up/none"})
        nowhere = await admin.post("/api/endpoints/nobody/test", json={})

        assert [found[name]["ok"] for name in scripts] == [True, False, False]
        assert (found["counts"]["says_usage"], found["counts"]["end_state"]) == (True, "finished")
        assert found["cut"]["end_state"] == "truncated"
        assert found["denied"]["error"]["code"] == "bad_key"
        assert kept == found["denied"]
        assert (unknown.status_code, nowhere.status_code) == (422, 404)


@requirement("endpoints.admin")
async def test_a_change_that_cannot_be_audited_does_not_happen(tmp_path: Path) -> None:
    async with beside_an_upstream(tmp_path) as (running, admin, _, body):
        await admin.post("/api/endpoints", json=body)
        await break_the_audit(running)
        refused = [
            await admin.post("/api/endpoints", json={**body, "name": "other"}),
            await admin.patch("/api/endpoints/up", json={"concurrency": 3}),
            await admin.post("/api/endpoints/up/test", json={}),
            await admin.delete("/api/endpoints/up"),
        ]
        after = (await admin.get("/api/endpoints/up")).json()

        told = {(each.status_code, each.json()["type"]) for each in refused}
        assert told == {(503, "urn:runchat:problem:audit-unavailable")}
        assert (after["concurrency"], after["profile"]) == (8, None)


LOOKS = 3000  # requests within which a signal is handled, each some milliseconds
CONFIG = """
[endpoints.up]
base_url = "http://127.0.0.1:9/v1"
models = [{}]
allow_loopback = true
"""
SERVER = """
[mcp.servers.small]
url = "https://mcp.example/mcp"
"""


@requirement("endpoints.reload")
@requirement("mcp.servers.reload")
def test_the_settings_file_is_read_again_at_a_sighup(tmp_path: Path) -> None:
    config = tmp_path / "my.toml"
    config.write_text(CONFIG.format('"a"'), encoding="utf-8")
    with served(tmp_path / "data", "--config", str(config)) as running:

        def offers() -> list[str]:
            listed = running.api.get("/api/endpoints").json()["items"]
            return next(each["models"] for each in listed if each["name"] == "up")

        assert offers() == ["up/a"]
        config.write_text(CONFIG.format("wrong"), encoding="utf-8")
        running.signal(signal.SIGHUP)  # it cannot be used: all stays, and the service serves
        looks = (running.log.read_text("utf-8") for _ in range(LOOKS) if offers() == ["up/a"])
        assert any("stay as they were" in said for said in looks)
        config.write_text(CONFIG.format('"a", "b"') + SERVER, encoding="utf-8")
        running.signal(signal.SIGHUP)
        assert ["up/a", "up/b"] in (offers() for _ in range(LOOKS))
        servers = (running.api.get("/api/mcp/servers").json()["items"] for _ in range(LOOKS))
        assert ["small"] in ([each["id"] for each in found] for found in servers)


@requirement("endpoints.default")
def test_the_default_may_be_a_model_of_a_stored_endpoint(tmp_path: Path) -> None:
    with served(tmp_path / "data") as running:
        body = {"name": "up", "base_url": "http://127.0.0.1:9/v1", "models": ["m"]}
        running.post("/api/endpoints", body | {"allow_loopback": True})
        running.stop()
        running.start(RUNCHAT_MODELS__DEFAULT="up/m")
        assert running.api.get("/api/models").json()["default"] == "up/m"


@requirement("models.own-facts")
async def test_an_admins_word_on_a_model_wins_and_its_prices_are_what_an_answer_cost(
    tmp_path: Path,
) -> None:
    usage = {"prompt_tokens": 3000, "completion_tokens": 10}
    script = Script(text="Hi.", usage=usage)
    async with beside_an_upstream(tmp_path, m=script) as (running, admin, _, body):
        await admin.post("/api/endpoints", json=body)
        rates = {"input": "2.5", "output": "10.000000001"}
        url, said = "/api/models/up/m", {"context": 5000, "rates": rates}
        put = await admin.put(url, json=said)
        listed = (await admin.get("/api/models")).json()["items"]
        refused = await talk.ask(admin, await talk.begin(admin), "word " * 20_000, model="up/m")
        job_id = await talk.asked(admin, await talk.begin(admin), "Hi", model="up/m")
        await talk.follow(admin, job_id)
        cost = (await talk.job(admin, job_id))["usage"]["cost"]
        bob = await running.client(user="bob")
        foreign = [await bob.put(url, json=said), await bob.delete(url)]
        wrong = await admin.put(url, json={"context": 0, "rates": {"input": "free"}})
        await break_the_audit(running)
        unaudited = [await admin.put(url, json={}), await admin.delete(url)]

    assert (put.status_code, put.json()["context"]) == (200, 5000)
    prices = {"input_mtok": {"usd": "2.5"}, "output_mtok": {"usd": "10.000000001"}}
    assert put.json()["prices"] == prices | {"source": "operator"}
    assert put.json() in listed
    assert refused.status_code == 422
    assert cost == {"usd": "0.00760000000001", "prices": "operator"}
    assert [each.status_code for each in foreign] == [404, 404]
    assert wrong.status_code == 422
    assert [each.status_code for each in unaudited] == [503, 503]


async def test_what_was_said_of_a_model_is_taken_back(tmp_path: Path) -> None:
    async with beside_an_upstream(tmp_path) as (_, admin, _, body):
        await admin.post("/api/endpoints", json=body)
        before = (await admin.get("/api/models")).json()
        await admin.put("/api/models/up/m", json={"inputs": ["image"], "context": 7})
        gone = [await admin.delete("/api/models/up/m") for _ in range(2)]
        unknown = await admin.put("/api/models/up/other", json={})
        after = (await admin.get("/api/models")).json()
    assert [each.status_code for each in (*gone, unknown)] == [204, 404, 404]
    assert before == after
