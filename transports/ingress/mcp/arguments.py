"""A tool of ours: its description made from a dataclass, its arguments read into one.

What a client sends is read strictly, and each mistake is told with its place: it becomes the tool's
error, which the model that made it can mend.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Generic, TypeVar, cast

import orjson
from mcp.server.context import HandlerResult
from mcp_types import CallToolResult, TextContent, Tool, ToolAnnotations
from pydantic import ConfigDict, TypeAdapter, ValidationError

from runtime import limits
from runtime.problems import Invalid
from transports.ingress.mcp.shelf import Asker, Context

STRICT: Final = ConfigDict(extra="forbid", strict=True)
SCHEMA: Final = "https://json-schema.org/draft/2020-12/schema"
A = TypeVar("A")


@dataclass(frozen=True, slots=True, kw_only=True)
class Act(Generic[A]):
    """A tool.

    Args:
        arguments: a dataclass; its fields' descriptions are the schema's.
        reads: it changes nothing.
    """

    name: str
    title: str
    description: str
    arguments: type[A]
    run: Callable[[Context, Asker, A], Awaitable[HandlerResult]]
    reads: bool

    def tool(self) -> Tool:
        """Return it as a client is told of it."""
        schema = {"$schema": SCHEMA, **_adapter(cast("Any", self.arguments)).json_schema()}
        schema.pop("title", None)
        schema.pop("description", None)
        return Tool(
            name=self.name,
            title=self.title,
            description=self.description,
            input_schema=schema,
            annotations=ToolAnnotations(
                read_only_hint=self.reads, destructive_hint=False, open_world_hint=not self.reads
            ),
        )

    def read(self, given: Mapping[str, Any] | None) -> A:
        """Return the arguments.

        Raises:
            Invalid: they are not what the tool takes; it says which, and why.
        """
        raw = orjson.dumps(dict(given or {}))
        if b"\\u0000" in raw:
            raise Invalid("NUL is not allowed in text.")
        try:
            return cast("A", _adapter(cast("Any", self.arguments)).validate_json(raw))
        except ValidationError as error:
            told = [f"{_place(each['loc'])}: {each['msg']}" for each in error.errors()]
            raise Invalid("; ".join(told)) from None


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _place(location: tuple[int | str, ...]) -> str:
    return "/" + "/".join(map(str, location))


def told(document: Mapping[str, Any], words: str | None = None) -> CallToolResult:
    """Return a result: JSON, and its words for those who read no JSON."""
    text = orjson.dumps(document).decode() if words is None else words
    return CallToolResult(content=[TextContent(text=text)], structured_content=dict(document))


def capped(text: str, rest_at: str) -> tuple[str, bool]:
    """Return as much of a text as a result may hold, and whether some is missing.

    Args:
        rest_at: where the whole can be read; it is named in the mark of what is missing.
    """
    missing = len(text) - limits.MCP_SERVED_CHARS
    if missing <= 0:
        return text, False
    mark = f"\n[{missing} more characters; all of it is at {rest_at}]"
    return text[: limits.MCP_SERVED_CHARS] + mark, True
