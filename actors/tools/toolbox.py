"""The toolbox: what one caller may call, of all sources, under names that a model can be told.

A model knows a tool by a name of 1 to 64 letters, digits, `_` and `-`. Where two tools would have
the same, neither has it: both are told apart by their source's name, and where that is not enough
by a digest of their id. So no server can take the name of another's tool by coming first, and the
names depend on what is offered alone, never on the order in which it came or answered. Where tools
are named, only those are looked for, and only where they are.

What cannot be offered is left out and told why: what is denied, a schema that no provider would
take or that points outside itself, and what is beyond the bounds, in the order of the ids. A source
that fails or does not answer costs the caller its own tools, and nobody else anything.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
import structlog
import trio

from actors.tools.tooling import Source, Tool
from runtime import limits
from runtime.caller import Caller
from runtime.problems import NotFound

log = structlog.get_logger(__name__)
FOREIGN: Final = re.compile("[^a-zA-Z0-9_-]+")
NAME_CHARS_MAX: Final = 64  # OpenAI, Anthropic and Google alike
DIGEST_CHARS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A tool with the name that a model knows it by, and the source that calls it."""

    name: str
    tool: Tool
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCatalog:
    """What one caller may call now.

    Args:
        offers: by the tool's id, in the order of the ids.
        left_out: why a tool is not offered, by its id.
    """

    offers: Mapping[str, Offer] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)

    def find(self, id: str) -> Offer:
        """Return the tool of an id.

        Raises:
            NotFound: there is none, for this caller.
        """
        if (offer := self.offers.get(id)) is None:
            raise NotFound("There is no such tool.")
        return offer

    def named(self, name: str) -> Offer | None:
        """Return the tool that a model knows by a name."""
        return next((each for each in self.offers.values() if each.name == name), None)


class Toolbox:
    """The sources of tools of one service. `transports.compose` adds them."""

    def __init__(self, sources: Iterable[Source] = ()) -> None:
        self._sources: dict[str, Source] = {}
        self._places: dict[str, trio.Semaphore] = {}
        for source in sources:
            self.add(source)

    def add(self, source: Source) -> None:
        """Let callers use the tools of a source, in place of an earlier one of its kind."""
        self._sources[source.kind] = source

    def place(self, caller: Caller) -> trio.Semaphore:
        """Return what holds the caller's calls to so many at once, over all their jobs."""
        if (places := self._places.get(caller.name)) is None:
            places = self._places[caller.name] = trio.Semaphore(limits.TOOL_CALLS_CALLER_MAX)
        return places

    async def catalog(self, caller: Caller, ids: Iterable[str] | None = None) -> ToolCatalog:
        """Return what the caller may call now, all or of some ids; sources are asked at once."""
        listed: dict[str, Sequence[Tool]] = {}
        async with trio.open_nursery() as nursery:
            for source in self._sources.values():
                of_it = f"{source.kind}/"
                named = None if ids is None else {each for each in ids if each.startswith(of_it)}
                if named != set():
                    nursery.start_soon(_list, source, caller, named, listed)
        found = {tool.id: tool for kind in sorted(listed) for tool in listed[kind]}
        return self._offered([found[each] for each in sorted(found)])

    def _offered(self, tools: Sequence[Tool]) -> ToolCatalog:
        left_out = dict(_left_out(tools))
        kept = [tool for tool in tools if tool.id not in left_out]
        offers: dict[str, Offer] = {}
        for tool, name in zip(kept, names(kept), strict=True):
            source = self._sources[tool.id.partition("/")[0]]
            offers[tool.id] = Offer(name=name, tool=tool, source=source)
        return ToolCatalog(offers=offers, left_out=left_out)


async def _list(
    source: Source,
    caller: Caller,
    named: Collection[str] | None,
    into: dict[str, Sequence[Tool]],
) -> None:
    """List one source's tools; none where it fails: that is logged, and harms no other."""
    with trio.move_on_after(limits.TOOLS_LIST_S) as late:
        try:
            tools = await source.tools(caller, named)
        except Exception:  # a source's failure is its own
            log.exception("tools_not_listed", source=source.kind)
            return
        of_it = f"{source.kind}/"
        into[source.kind] = [
            tool
            for tool in tools
            if tool.id.startswith(of_it) and (named is None or tool.id in named)
        ]
    if late.cancelled_caught:
        log.warning("tools_listed_late", source=source.kind)


def _left_out(tools: Iterable[Tool]) -> Iterator[tuple[str, str]]:
    """Yield what is not offered, and why."""
    count = size_bytes = 0
    for tool in tools:
        why = "denied" if tool.policy == "deny" else unusable(tool.schema)
        if not why:
            told = len(tool.description.encode()) + len(orjson.dumps(tool.schema))
            if count >= limits.TOOLS_MAX or size_bytes + told > limits.TOOLS_BYTES_MAX:
                why = "too-many"
            else:
                count, size_bytes = count + 1, size_bytes + told
        if why:
            yield tool.id, why


def unusable(schema: Mapping[str, Any]) -> str:
    """Return why arguments of this schema cannot be asked for; "" where they can."""
    if schema.get("type", "object") != "object":
        return "schema-no-object"
    try:
        told = orjson.dumps(schema)
    except (TypeError, ValueError, RecursionError):  # no JSON, or nested without end
        return "schema-no-json"
    if len(told) > limits.TOOL_SCHEMA_BYTES:
        return "schema-too-large"
    return "schema-points-outside" if any(map(_is_outside, _references(schema))) else ""


def _is_outside(reference: Any) -> bool:
    return not (isinstance(reference, str) and reference.startswith("#"))


def _references(schema: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the targets of all references; a property that is named `$ref` is none."""
    waiting: list[Any] = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            yield from (
                node[word]
                for word in ("$ref", "$dynamicRef")
                if word in node and not isinstance(node[word], dict)
            )
            waiting += node.values()


def names(tools: Sequence[Tool]) -> list[str]:
    """Return a name for each tool, in order: all different, and each of the tool's own words."""
    choices = [_choices(tool) for tool in tools]
    levels = [0] * len(tools)
    while True:
        chosen = [each[level] for each, level in zip(choices, levels, strict=True)]
        uses = Counter(chosen)
        clashes = [
            place
            for place, name in enumerate(chosen)
            if uses[name] > 1 and levels[place] + 1 < len(choices[place])
        ]
        if not clashes:
            return chosen
        for place in clashes:
            levels[place] += 1


def _choices(tool: Tool) -> tuple[str, str, str]:
    """Return what a tool may be called: the shortest first, the last by nobody else."""
    kind, _, rest = tool.id.partition("/")
    own = FOREIGN.sub("_", tool.name).strip("_") or "tool"
    of_source = f"{FOREIGN.sub('_', rest.rpartition('/')[0] or kind)}_{own}"
    digest = hashlib.sha256(tool.id.encode()).hexdigest()[:DIGEST_CHARS]
    whole = f"{of_source[: NAME_CHARS_MAX - DIGEST_CHARS - 1]}_{digest}"
    own, of_source = (name if len(name) <= NAME_CHARS_MAX else whole for name in (own, of_source))
    return own, of_source, whole
