"""An answer that is broken off: its connection is closed at once, and what was used is kept."""

from __future__ import annotations

import pytest
import trio

from harness.upstream.program import Upstream
from harness.upstream.script import Script
from specs.requirements import requirement
from specs.support import talk
from specs.support.server import service
from specs.unit.egress import streams_of_openai as openai
from specs.unit.egress import streams_of_others as others
from specs.unit.egress.streams_of_openai import choice, chunk, sse
from transports.egress.guard import Reach
from transports.egress.providers.compatible import Compatible, Endpoint

TOLD = openai.message(openai.words("Well, "))
BEGUN = {
    "openai-chat": sse(chunk(choice(content="Well, "))),
    "openai-responses": sse(
        *openai.BEGUN,
        *openai.told(0, TOLD, "output_text", openai.words("Well, "), "Well, ")[:3],
    ),
    "anthropic-messages": sse(others.STARTED, *others.text_block(0, "Well, ")[:2]),
    "google-generate": sse(
        others.gemini(others.candidate({"text": "Well, "}), usageMetadata=others.GEMINI_USAGE)
    ),
}
SAYS_EARLY = ("anthropic-messages", "google-generate")


@requirement("providers.let-go")
@pytest.mark.parametrize("how", ["abort", "replace"])
@pytest.mark.parametrize("wire", BEGUN)
async def test_the_connection_is_closed_and_known_usage_is_kept(wire: str, how: str) -> None:
    upstream = Upstream({"m": Script(raw=BEGUN[wire], cut_events=99, then="stall")})
    async with trio.open_nursery() as nursery:
        port = await nursery.start(upstream.serve)
        reach = Reach(exempt=frozenset({("127.0.0.1", port)}))
        url = f"http://127.0.0.1:{port}"
        provider = Compatible(
            Endpoint(name="up", base_url=url, models=("m",), wire=wire, reach=reach)
        )
        async with service(providers=(provider,)) as running:
            client = await running.client()
            with trio.fail_after(10):
                conversation = await talk.begin(client)
                job_id = await talk.asked(client, conversation, model="up/m")
                await talk.until(client, f"jobs/{job_id}", "item.delta")
                if how == "abort":
                    await client.post(f"/api/jobs/{job_id}/abort")
                else:
                    await talk.asked(client, conversation, model="echo", on_active="replace")
                await upstream.records[0].left.wait()
                job = await talk.job(client, job_id)
        await provider.aclose()
        nursery.cancel_scope.cancel()
    assert job["status"] == ("aborted" if how == "abort" else "superseded")
    assert talk.text_of(job) == "Well, "
    sources = [job["usage"]["source"]] if job["usage"] else []
    assert sources == (["partial"] if wire in SAYS_EARLY else [])
