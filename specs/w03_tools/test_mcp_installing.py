"""A `server.json` is installed with what it asks for, or refused with all that is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actors.mcp import installing as mcp_installing
from runtime.problems import Invalid
from specs.requirements import requirement
from specs.support.mcp_people import SERVERS, beside_a_server

KEY = "canary-0123456789"


def document(url: str, **more: Any) -> dict[str, Any]:
    remote = {
        "type": "streamable-http",
        "url": url + "?region={region}",
        "variables": {
            "region": {"description": "Where.", "choices": ["eu", "us"], "isRequired": True}
        },
        "headers": [
            {"name": "X-Key", "isRequired": True, "isSecret": True, "description": "Your key."},
            {"name": "X-Who", "value": "ada {flavour}", "variables": {"flavour": {"default": "a"}}},
            {"name": "X-Rare", "description": "Rarely."},
        ],
    }
    return {
        "$schema": mcp_installing.SCHEMA,
        "name": "com.example/Lamp.Server",
        "title": "Lamps",
        "description": "Lights lamps.",
        "version": "1.2.3",
        "remotes": [{"type": "sse", "url": "https://old.example/sse"}, remote],
        **more,
    }


@requirement("mcp.install")
async def test_a_server_json_is_installed_with_the_answers_to_what_it_asks(tmp_path: Path) -> None:
    async with beside_a_server(tmp_path) as world:
        body = {"server_json": document(world.asked.url)}
        bare = await world.ann.post(SERVERS, json=body)
        inputs = {"region": "eu", "X-Key": KEY}
        added = await world.ann.post(SERVERS, json={**body, "inputs": inputs})
        names = await world.names()
        release = document(world.asked.url, version="2.0.0")
        updated = await world.ann.patch(
            f"{SERVERS}/lamp-server", json={"server_json": release, "inputs": inputs}
        )
        told = {each["pointer"] for each in bare.json()["errors"]}
        asked = {each["name"]: each for each in bare.json()["inputs"]}

        assert (bare.status_code, told) == (422, {"/inputs/region", "/inputs/X-Key"})
        assert list(asked) == ["region", "X-Key", "flavour", "X-Rare"]
        assert (asked["X-Key"]["secret"], asked["region"]["choices"]) == (True, ["eu", "us"])
        assert (added.status_code, added.json()["id"]) == (201, "lamp-server")
        assert (added.json()["title"], added.json()["release"]) == ("Lamps", "1.2.3")
        assert (added.json()["headers"], KEY in added.text) == (["X-Key", "X-Who"], False)
        assert names[0] == "mcp/lamp-server/crash"
        assert f"x-key: {KEY}" in world.asked.heads[-1]
        assert "x-who: ada a" in world.asked.heads[-1]
        assert "?region=eu " in world.asked.heads[-1]
        assert (updated.status_code, updated.json()["release"]) == (200, "2.0.0")


@requirement("mcp.install")
@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        ({"$schema": "https://example.com/schema.json"}, "/server_json/$schema"),
        ({"name": "no-slash"}, "/server_json/name"),
        ({"version": None}, "/server_json/version"),
        ({"remotes": []}, "/server_json/remotes"),
        ({"remotes": [{"type": "sse", "url": "https://a.example"}]}, "/server_json/remotes"),
        ({"remotes": "none"}, "/server_json/remotes"),
        (
            {"remotes": [], "packages": [{"registryType": "npm", "identifier": "x"}]},
            "/server_json/packages",
        ),
        ({"remotes": [{"type": "streamable-http"}]}, "/server_json/remotes/0/url"),
    ],
)
def test_what_cannot_be_installed_is_refused_with_its_place(
    more: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(Invalid) as refused:
        mcp_installing.read({**document("https://mcp.example/"), **more}, {})

    assert refused.value.extensions["errors"][0]["pointer"] == pointer


@requirement("mcp.install")
def test_an_answer_is_one_of_the_choices_is_asked_for_and_cannot_break_out_of_the_url() -> None:
    wanted = document("https://mcp.example/{path}/mcp")
    wanted["remotes"][1]["variables"]["path"] = {"isRequired": True}
    answers = {"X-Key": KEY, "region": "mars", "path": "../?a=#@evil", "more": "x"}
    with pytest.raises(Invalid) as refused:
        mcp_installing.read(wanted, answers)
    right = {"X-Key": KEY, "region": "us", "path": answers["path"]}
    found = mcp_installing.read(wanted, right)

    assert [each["pointer"] for each in refused.value.extensions["errors"]] == [
        "/inputs/region",
        "/inputs/more",
    ]
    assert found.url == "https://mcp.example/..%2F%3Fa%3D%23%40evil/mcp?region=us"


def test_a_fixed_variable_is_not_asked_for() -> None:
    wanted = document("https://mcp.example/{tier}")
    wanted["remotes"][1]["variables"]["tier"] = {"value": "free"}
    found = mcp_installing.read(wanted, {"X-Key": KEY, "region": "us"})

    assert found.url == "https://mcp.example/free?region=us"
