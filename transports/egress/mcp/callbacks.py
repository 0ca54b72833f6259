"""What the SDK calls when a server asks: the person, a model, or for folders."""

from __future__ import annotations

from typing import Any

import mcp_types as types
import trio
from mcp.client.context import ClientRequestContext
from pydantic import FileUrl

from transports.egress.mcp.words import Asker, Question, Sampler

OURSELVES = types.Implementation(name="runchat", version="0.1.0")


def asking(asker: Asker) -> Any:
    """Return what the SDK calls when the server asks the person something."""

    async def ask(
        context: ClientRequestContext, params: types.ElicitRequestParams
    ) -> types.ElicitResult | types.ErrorData:
        del context
        if isinstance(params, types.ElicitRequestURLParams):
            question = Question(message=params.message, schema=None, url=str(params.url))
        else:
            question = Question(message=params.message, schema=params.requested_schema, url=None)
        answer = await asker(question)
        accepted = answer.action == "accept" and question.url is None
        content = dict(answer.content) if accepted else None
        return types.ElicitResult(action=answer.action, content=content)

    return ask


def sampling(sampler: Sampler) -> Any:
    """Return what the SDK calls when the server wants a model's words."""

    async def sample(
        context: ClientRequestContext, params: types.CreateMessageRequestParams
    ) -> types.CreateMessageResult:
        del context
        text = await sampler(params.model_dump(mode="json", by_alias=True))
        content = types.TextContent(type="text", text=text)
        return types.CreateMessageResult(role="assistant", content=content, model=OURSELVES.name)

    return sample


def rooting(roots: tuple[str, ...]) -> Any:
    """Return what the SDK calls when the server asks for folders."""

    async def listed(context: ClientRequestContext) -> types.ListRootsResult:
        del context
        await trio.lowlevel.checkpoint()
        return types.ListRootsResult(roots=[types.Root(uri=FileUrl(each)) for each in roots])

    return listed
