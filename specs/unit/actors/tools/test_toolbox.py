"""What a caller is offered: names that a model takes, no tool in another's place, bounds."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from actors.tools.toolbox import Toolbox, names, unusable
from actors.tools.tooling import Tool
from runtime import limits
from runtime.caller import Caller
from runtime.problems import NotFound, UpstreamLost
from specs.requirements import requirement
from specs.support.shelf import Shelf

ANN = Caller(tenant="local", user="ann")
IDS = st.lists(
    st.tuples(st.sampled_from(["a", "a b", "ä", "x" * 70]), st.text(max_size=70)),
    unique=True,
    max_size=8,
)


def shelf(*tools: tuple[str, str], kind: str = "mcp") -> Shelf:
    made = Shelf(kind)
    for of, name in tools:
        made.put(name, of=of)
    return made


async def offered(*sources: Shelf) -> dict[str, str]:
    """Return what a model would know the tools by, by their ids."""
    catalog = await Toolbox(sources).catalog(ANN)
    return {each.tool.id: each.name for each in catalog.offers.values()}


@requirement("tools.names")
async def test_a_tool_named_like_another_takes_neither_its_name_nor_its_place() -> None:
    good, sly = ("files", "search"), ("a-sly-one", "search")
    alone = await offered(shelf(good))
    both = await offered(shelf(good, sly))
    other_order = await offered(shelf(sly, good))

    assert alone == {"mcp/files/search": "search"}
    assert both == {
        "mcp/files/search": "files_search",
        "mcp/a-sly-one/search": "a-sly-one_search",
    }
    assert both == other_order


@requirement("tools.names")
async def test_a_name_that_imitates_a_source_and_its_tool_is_told_apart_too() -> None:
    found = await offered(shelf(("a", "b_c"), ("z", "b_c"), ("a_b", "c"), ("y", "c")))
    assert len(set(found.values())) == 4
    assert found["mcp/z/b_c"] == "z_b_c"
    assert re.fullmatch("a_b_c_[0-9a-f]{16}", found["mcp/a/b_c"]) is not None


@requirement("tools.names")
@given(data=st.data(), ids=IDS)
def test_names_are_all_different_fit_every_vendor_and_know_no_order(
    data: st.DataObject, ids: Sequence[tuple[str, str]]
) -> None:
    tools = shelf(*ids).listed
    found = dict(zip((tool.id for tool in tools), names(tools), strict=True))
    shuffled = data.draw(st.permutations(tools))

    assert len(set(found.values())) == len({tool.id for tool in tools})
    assert [name for name in found.values() if not re.fullmatch("[a-zA-Z0-9_-]{1,64}", name)] == []
    assert dict(zip((t.id for t in shuffled), names(shuffled), strict=True)) == found


@requirement("tools.own-sources")
async def test_a_source_that_fails_or_hangs_costs_its_own_tools(autojump_clock: MockClock) -> None:
    class Failing(Shelf):
        async def tools(
            self, caller: Caller, named: Collection[str] | None = None
        ) -> Sequence[Tool]:
            raise UpstreamLost(f"Nobody is there for {caller.name}.")

    class Hanging(Shelf):
        async def tools(
            self, caller: Caller, named: Collection[str] | None = None
        ) -> Sequence[Tool]:
            await trio.sleep_forever()
            return await Shelf.tools(self, caller, named)

    began = trio.current_time()
    found = await offered(Failing("action"), Hanging("hangs"), shelf(("files", "search")))

    assert found == {"mcp/files/search": "search"}
    assert trio.current_time() - began == limits.TOOLS_LIST_S


@requirement("tools.own-sources")
async def test_a_source_none_of_whose_tools_is_named_is_not_asked() -> None:
    web, files = shelf(("web", "fetch"), kind="web"), shelf(("files", "search"))
    catalog = await Toolbox((web, files)).catalog(ANN, ["mcp/files/search", "mcp", "gone/x/y"])
    assert (list(catalog.offers), web.lists, files.lists) == (["mcp/files/search"], 0, 1)


@requirement("tools.bounded")
async def test_a_tool_that_is_named_is_offered_however_many_there_are() -> None:
    many = shelf(*(("set", f"t{n:03}") for n in range(limits.TOOLS_MAX + 2)))
    catalog = await Toolbox((many,)).catalog(ANN, ["mcp/set/t129"])
    assert (list(catalog.offers), catalog.left_out) == (["mcp/set/t129"], {})


@requirement("tools.bounded")
async def test_more_tools_than_may_be_are_left_out_by_name() -> None:
    many = shelf(*(("set", f"t{n:03}") for n in range(limits.TOOLS_MAX + 2)))
    large = Shelf("wide")
    large.put("doc", schema={"type": "object", "description": "x" * limits.TOOL_SCHEMA_BYTES})
    denied = Shelf("zed")
    denied.put("rm", policy="deny")
    catalog = await Toolbox((many, large, denied)).catalog(ANN)

    assert len(catalog.offers) == limits.TOOLS_MAX
    assert catalog.left_out == {
        "mcp/set/t128": "too-many",
        "mcp/set/t129": "too-many",
        "wide/desk/doc": "schema-too-large",
        "zed/desk/rm": "denied",
    }


@requirement("tools.bounded")
@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({}, ""),
        ({"type": "object", "properties": {"$ref": {"type": "string"}}}, ""),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#"}}}, ""),
        ({"type": "string"}, "schema-no-object"),
        ({"properties": {"a": {"$ref": "https://example.com/a.json"}}}, "schema-points-outside"),
        ({"items": [{"$dynamicRef": "file:///etc/passwd"}]}, "schema-points-outside"),
        ({"default": object()}, "schema-no-json"),
    ],
)
def test_a_schema_that_cannot_be_asked_for_says_why(schema: dict[str, Any], why: str) -> None:
    assert unusable(schema) == why


def test_a_schema_without_end_is_no_json() -> None:
    schema: dict[str, Any] = {"type": "object"}
    schema["properties"] = {"a": schema}
    assert unusable(schema) == "schema-no-json"


async def test_a_tool_is_found_by_its_id_and_by_its_name() -> None:
    toolbox = Toolbox((shelf(("files", "search"), ("web", "fetch")),))
    catalog = await toolbox.catalog(ANN)
    some = await toolbox.catalog(ANN, ["mcp/web/fetch"])

    assert catalog.find("mcp/web/fetch") == catalog.named("fetch")
    assert (some.named("search"), list(some.offers)) == (None, ["mcp/web/fetch"])
    with pytest.raises(NotFound):
        some.find("mcp/files/search")
