"""What each scenario of the MCP conformance suite wants done once the tools are listed.

Theory: the suite judges what it sees on the wire; a scenario's act is the least that makes it
visible. A name that is not in the table (those of `auth/`) calls the first tool.
Source: `@modelcontextprotocol/conformance`, its integration guide for SDKs.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from actors.mcp.session import Catalog
from runtime.problems import Upstream
from transports.egress.mcp.words import Answer, Question, Result

STUBS: Mapping[str, Any] = {
    "string": "x",
    "integer": 0,
    "number": 0,
    "boolean": False,
    "object": {},
    "array": [],
    "null": None,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What the suite asks for."""

    name: str
    context: Mapping[str, Any]
    modern: bool


async def accept(question: Question) -> Answer:
    """Accept what is asked, with the form's own defaults."""
    properties = (question.schema or {}).get("properties", {})
    content = {name: each["default"] for name, each in properties.items() if "default" in each}
    if "confirmed" in properties:
        content["confirmed"] = True
    return Answer(action="accept", content=content)


async def say_nothing(prompt: Mapping[str, Any]) -> str:
    """Answer a prompt with no words: the suite looks at what is declared alone."""
    del prompt
    return ""


Call: TypeAlias = Callable[[str, Mapping[str, Any]], Awaitable[Result]]
Act: TypeAlias = Callable[[Call, Catalog, Scenario], Awaitable[None]]


async def adds(call: Call, catalog: Catalog, scenario: Scenario) -> None:
    """Add two numbers."""
    del catalog, scenario
    await call("add_numbers", {"a": 5, "b": 3})


async def echoes(call: Call, catalog: Catalog, scenario: Scenario) -> None:
    """Send a schema back as it was listed."""
    del scenario
    schema = catalog.tools["json_schema_2020_12_tool"].input_schema
    await call("json_schema_echo", {"schema": schema})


async def calls_all(call: Call, catalog: Catalog, scenario: Scenario) -> None:
    """Call every tool that is listed, with the least of arguments; it may refuse them."""
    del scenario
    for tool in catalog.tools.values():
        told = tool.input_schema.get("properties", {})
        wanted = tool.input_schema.get("required", ())
        stubs = {name: STUBS.get(told.get(name, {}).get("type"), "x") for name in wanted}
        await trying(call(tool.name, stubs))


async def replays(call: Call, catalog: Catalog, scenario: Scenario) -> None:
    """Make the calls of the context."""
    for each in scenario.context.get("toolCalls", ()):
        if each["name"] in catalog.tools:
            await trying(call(each["name"], each.get("arguments") or {}))


async def calls_first(call: Call, catalog: Catalog, scenario: Scenario) -> None:
    """Call the first tool; that it fails is no fault of a sign-in."""
    del scenario
    for name in list(catalog.tools)[:1]:
        await trying(call(name, {}))


async def rests(call: Call, catalog: Catalog, scenario: Scenario) -> None:
    """Do nothing more: the list was all."""
    del call, catalog, scenario


async def trying(calling: Awaitable[Result]) -> None:
    """Await a call that may fail."""
    try:
        await calling
    except Upstream as problem:
        print(f"mcp-client: {problem.detail}", file=sys.stderr)


def calling(*names: str) -> Act:
    """Return the act of calling tools without arguments."""

    async def act(call: Call, catalog: Catalog, scenario: Scenario) -> None:
        del catalog, scenario
        for name in names:
            await call(name, {})

    return act


MRTR = ("echo_state", "unrelated", "no_state", "no_result_type")
ACTS: Mapping[str, Act] = {
    "elicitation-sep1034-client-defaults": calling("test_client_elicitation_defaults"),
    "http-custom-headers": replays,
    "http-invalid-tool-headers": calls_all,
    "http-standard-headers": adds,
    "initialize": rests,
    "json-schema-2020-12-preservation": echoes,
    "json-schema-ref-no-deref": rests,
    "request-metadata": adds,
    "sep-2322-client-request-state": calling(*(f"test_mrtr_{each}" for each in MRTR)),
    "sse-retry": calling("test_reconnection"),
    "tools_call": adds,
}
