"""Opens a session with an MCP server: the SDK's client on connections of the guard or on a program.

What the SDK raises, and what a server made it raise, leaves here as an Upstream problem: a server
is never the cause of a crash of ours.
Source: mcp 2.3 (`Client`, `streamable_http_client`); MCP 2026-07-28 and 2025-11-25.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, assert_never, cast

import httpx2
import mcp_types as types
import structlog
import trio
from mcp.client import session as session_of_sdk
from mcp.client.auth import OAuthFlowError
from mcp.client.client import Client
from mcp.client.session import IncomingMessage
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from runtime import limits
from runtime.clock import Clock
from runtime.problems import Problem, Upstream, UpstreamLost, UpstreamSaid
from transports.egress import guard
from transports.egress.denial import Told
from transports.egress.mcp import stdio
from transports.egress.mcp.authorizing import Ask, Authorized
from transports.egress.mcp.callbacks import OURSELVES, asking, rooting, sampling
from transports.egress.mcp.contained import Contained, said
from transports.egress.mcp.flows import SignInNeeded, flow_for
from transports.egress.mcp.servers import HttpServer, Person, Server, oauth_reach_of, reach_of
from transports.egress.mcp.sieving import Sieve, missing
from transports.egress.mcp.tasks import Tasks
from transports.egress.mcp.vault import Kept, Vault
from transports.egress.mcp.words import (
    SIGN_IN_NEEDED,
    Asker,
    OnProgress,
    Page,
    Progress,
    Result,
    Sampler,
    What,
)
from transports.egress.mcp.words import Tool as ToolWords

if TYPE_CHECKING:
    from mcp.client._transport import Transport

log = structlog.get_logger(__name__)

# A server that starts slowly is not an old one, for which the SDK takes it after 10 s.
session_of_sdk.DISCOVER_TIMEOUT_SECONDS = limits.MCP_DISCOVER_S
LOST = frozenset({types.CONNECTION_CLOSED, types.REQUEST_TIMEOUT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What opening sessions for one person takes.

    Args:
        kept: where tokens are kept; None: the server wants none.
        asker: asks the person; None: nobody is there to be asked, and the server is told so.
        sampler: answers a server's prompt with a model's text; None: none is lent.
        roots: folders that the server may know of, as URLs; None: it may not ask.
        authority: tokens that several sessions share; None: the session has its own.
        ask: sends what authorization asks; None: a guarded client of the server's reach.
    """

    clock: Clock
    kept: Kept | None = None
    asker: Asker | None = None
    sampler: Sampler | None = None
    roots: tuple[str, ...] | None = None
    authority: Authority | None = None
    ask: Ask | None = None
    on_decision: Told | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """Tokens and what gets them; one refreshes for all that share it."""

    flow: httpx2.Auth
    vault: Vault


def authority_for(server: HttpServer, kept: Kept | None, clock: Clock) -> Authority:
    """Return what gets the tokens of a server that wants some.

    Raises:
        UpstreamSaid: there is no place to keep them.
    """
    if kept is None or server.access is None:
        raise UpstreamSaid("There is no place to keep its tokens.", code=SIGN_IN_NEEDED)
    person = server.access if isinstance(server.access, Person) else None
    anew_at = person.redirect_uri if person and person.consent and person.anew else None
    vault = Vault(kept, clock.now_ms, server.url, anew_at=anew_at)
    return Authority(flow=flow_for(server.url, server.access, vault), vault=vault)


@asynccontextmanager
async def connect(
    server: Server, means: Means, changed: Callable[[], None]
) -> AsyncIterator[OpenSession]:
    """Open a session; it ends with the block.

    Args:
        changed: called when the server says that its list of tools has changed.

    Raises:
        Upstream: it cannot be opened, or ended badly.
    """
    with translated(server.name):
        if isinstance(server, HttpServer):
            async with _over_http(server, means, changed) as session:
                yield session
        else:
            ended = trio.Event()
            async with _open(stdio.running(server, ended), server, means, changed) as client:
                yield OpenSession(client, ended)


@asynccontextmanager
async def _over_http(
    server: HttpServer, means: Means, changed: Callable[[], None]
) -> AsyncIterator[OpenSession]:
    headers = {name: value.reveal() for name, value in server.headers.items()}
    oauth = guard.client(oauth_reach_of(server, means.on_decision))
    auth = None
    if server.access is not None:
        authority = means.authority or authority_for(server, means.kept, means.clock)
        auth = Authorized(authority.flow, authority.vault, means.ask or oauth.send, means.clock)
    reach = reach_of(server, means.on_decision)
    async with oauth, guard.client(reach, headers=headers, auth=auth) as http:
        contained = Contained(http)
        transport = streamable_http_client(
            server.url,
            http_client=cast("httpx2.AsyncClient", contained),  # noqa: TID251 -- guarded, see there
            terminate_on_close=False,
            max_sse_event_size=limits.MCP_MESSAGE_BYTES,
        )
        try:
            async with _open(transport, server, means, changed) as client:
                contained.stands = True
                yield OpenSession(client, trio.Event(), contained)
        finally:
            contained.stands = True
            await contained.leave(server.url)


@asynccontextmanager
async def _open(
    transport: Transport, server: Server, means: Means, changed: Callable[[], None]
) -> AsyncIterator[Client]:
    """Enter the SDK's client, and listen for changes of the list of tools."""

    async def heard(message: IncomingMessage) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            changed()
        await trio.lowlevel.checkpoint()

    sieve = Sieve(transport)
    client = Client(
        sieve.streams(),
        mode=server.revisions,
        client_info=OURSELVES,
        message_handler=heard,
        elicitation_callback=asking(means.asker) if means.asker else None,
        sampling_callback=sampling(means.sampler) if means.sampler else None,
        list_roots_callback=rooting(means.roots) if means.roots is not None else None,
        input_required_max_rounds=limits.MCP_ROUNDS_MAX,
        extensions=(Tasks(),),
        cache=None,  # the session's actor keeps the list, with its version
    )
    async with client, trio.open_nursery() as nursery:
        sieve.revision = client.protocol_version
        tells = client.server_capabilities.tools
        if client.protocol_version in MODERN_PROTOCOL_VERSIONS and tells and tells.list_changed:
            nursery.start_soon(_listen, client, changed)
        yield client
        nursery.cancel_scope.cancel()


async def _listen(client: Client, changed: Callable[[], None]) -> None:
    """Hold a subscription to changes of the list of tools."""
    while True:
        try:
            async with client.listen(tools_list_changed=True) as events:
                async for _ in events:
                    changed()
        except (ListenNotSupportedError, MCPError) as error:
            log.info("mcp_listen_refused", reason=said(error))
            return
        except SubscriptionLost:
            changed()  # what was missed meanwhile is not known
        await trio.sleep(limits.MCP_LISTEN_S)


class OpenSession:
    """One open session; see `words.Session`."""

    def __init__(
        self, client: Client, ended: trio.Event, contained: Contained | None = None
    ) -> None:
        self.revision, self.ended = client.protocol_version, ended
        self._client, self._contained = client, contained

    async def tools(self, cursor: str | None) -> Page:
        """Return a page of the tools, asked for anew."""
        with self._translated():
            found = await self._client.list_tools(cursor=cursor)
        return Page(
            tools=tuple(_tool(each) for each in found.tools),
            left_out=missing(found),
            following=found.next_cursor,
            fresh_s=found.ttl_ms / 1000 if "ttl_ms" in found.model_fields_set else None,
        )

    async def call(
        self, name: str, arguments: Mapping[str, Any], on_progress: OnProgress | None
    ) -> Result:
        """Call a tool. To cancel the wait cancels the call at the server."""

        async def told(progress: float, total: float | None, message: str | None) -> None:
            assert on_progress is not None
            on_progress(Progress(done=progress, total=total, message=message))
            await trio.lowlevel.checkpoint()

        with self._translated():
            found = await self._client.call_tool(
                name,
                dict(arguments),
                progress_callback=told if on_progress is not None else None,
            )
        blocks = (each.model_dump(mode="json", by_alias=True) for each in found.content)
        return Result(
            content=tuple(blocks),
            structured=found.structured_content,
            is_error=found.is_error,
        )

    async def fetch(self, what: What, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what else the server has; see `words.Session`."""
        client, cursor = self._client, given.get("cursor")
        found: Any
        with self._translated():
            match what:
                case "resources":
                    found = await client.list_resources(cursor=cursor)
                case "templates":
                    found = await client.list_resource_templates(cursor=cursor)
                case "prompts":
                    found = await client.list_prompts(cursor=cursor)
                case "resource":
                    found = await client.read_resource(given["uri"])
                case "prompt":
                    found = await client.get_prompt(given["name"], dict(given["arguments"]))
                case _:
                    assert_never(what)
        told: Mapping[str, Any] = found.model_dump(mode="json", by_alias=True, exclude_none=True)
        return told

    @contextmanager
    def _translated(self) -> Iterator[None]:
        failure = self._contained
        if failure is not None:
            failure.failure = None
        with translated("", failure):
            yield


@contextmanager
def translated(name: str, contained: Contained | None = None) -> Iterator[None]:
    """Raise Upstream in place of whatever the SDK raises."""
    error: BaseException | None = None
    try:
        yield
    except* Exception as group:  # noqa: BLE001 -- a server may make the SDK raise anything
        error = _cause(group)
    if error is None:
        return
    if isinstance(error, MCPError) and contained is not None and contained.failure is not None:
        error = contained.failure
    if not isinstance(error, Problem):
        log.info("mcp_failed", server=name, kind=type(error).__name__, reason=said(error))
    raise _problem(error) from error


def _cause(error: BaseException) -> BaseException:
    """Return the first of what nurseries have grouped: the others followed from it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _problem(error: BaseException) -> Upstream:
    if isinstance(error, Upstream):
        return error
    if isinstance(error, httpx2.HTTPError | OSError):
        return UpstreamLost(f"The MCP server cannot be reached: {said(error)}")
    if isinstance(error, MCPError) and error.code in LOST:
        return UpstreamLost(f"The connection to the MCP server ended: {said(error)}")
    return UpstreamSaid(said(error), code=_code(error))


def _code(error: BaseException) -> str:
    """Return the word for what a server said, or made the SDK say."""
    match error:
        case SignInNeeded():
            return SIGN_IN_NEEDED
        case OAuthFlowError():
            return "sign-in-failed"
        case MCPError():
            return "mcp"
        case Problem():
            return "egress"
        case _:
            return "protocol"


def _tool(tool: types.Tool) -> ToolWords:
    annotations = tool.annotations.model_dump(exclude_none=True) if tool.annotations else {}
    return ToolWords(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.input_schema,
        output_schema=tool.output_schema,
        annotations=annotations,
    )
