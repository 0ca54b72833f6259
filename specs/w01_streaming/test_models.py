"""The models that need no key, as a client meets them."""

from __future__ import annotations

from typing import Any

import pytest

from specs.requirements import requirement
from specs.support import talk
from specs.support.server import service
from transports.egress.providers import facts
from transports.egress.providers.compatible import Compatible, Endpoint
from transports.egress.providers.synthetic import delta_text

SYNTHETIC = "synthetic/tokens"


async def deltas_of(
    options: dict[str, Any] | None, **body: Any
) -> tuple[list[str], dict[str, Any]]:
    """Run a synthetic job; return its deltas and its end."""
    async with service() as running:
        client = await running.client()
        if options is not None:
            body["options"] = options
        job_id = await talk.asked(client, await talk.begin(client), model=SYNTHETIC, **body)
        events = await talk.follow(client, job_id)
        deltas = [each["data"]["text"] for each in events if each["kind"] == "item.delta"]
        end: dict[str, Any] = events[-1]["data"]
        return deltas, end


@requirement("models.echo")
@pytest.mark.parametrize(
    "said",
    ["one two  three", " led by a space", "tab\tand\nline\n", "\u2028zwj 👩‍🚀 e\u0301", "   "],
)
async def test_echo_says_the_input_exactly(said: str) -> None:
    async with service() as running:
        client = await running.client()
        job_id = await talk.asked(client, await talk.begin(client), said, model="echo")
        events = await talk.follow(client, job_id)

        deltas = [each["data"]["text"] for each in events if each["kind"] == "item.delta"]
        assert "".join(deltas) == said
        assert talk.text_of(await talk.job(client, job_id)) == said


@requirement("models.synthetic-defaults")
async def test_synthetic_without_options_is_a_hundred_deltas_of_sixteen() -> None:
    deltas, end = await deltas_of(None)

    assert deltas == [delta_text(0, index, 16) for index in range(100)]
    assert (end["status"], end["end_state"]) == ("completed", "finished")


@requirement("models.synthetic-text", "grammar.synthetic-not-merged")
async def test_the_text_depends_on_seed_and_index_alone() -> None:
    first, _ = await deltas_of({"count": 300, "seed": 7, "size": 33})
    longer, _ = await deltas_of({"count": 400, "seed": 7, "size": 33})
    other, _ = await deltas_of({"count": 300, "seed": 8, "size": 33})

    assert longer[:300] == first
    assert [len(each) for each in first] == [33] * 300
    assert set(first).isdisjoint(other)


@requirement("models.synthetic-ends", "end.truncated", "end.partial-kept")
@pytest.mark.parametrize(
    ("how", "after", "said", "status", "end_state"),
    [
        ("finish", None, 5, "completed", "finished"),
        ("finish", 3, 5, "completed", "finished"),
        ("truncate", None, 5, "incomplete", "truncated"),
        ("truncate", 3, 3, "incomplete", "truncated"),
        ("error", 2, 2, "failed", "provider_error"),
        ("error", 0, 0, "failed", "provider_error"),
    ],
)
async def test_a_synthetic_stream_ends_as_it_is_told(
    how: str, after: int | None, said: int, status: str, end_state: str
) -> None:
    deltas, end = await deltas_of({"count": 5, "end": how, "fail_after": after})

    assert len(deltas) == said
    assert (end["status"], end["end_state"]) == (status, end_state)


@requirement("end.provider-error")
async def test_a_providers_error_is_told_in_the_end() -> None:
    _, end = await deltas_of({"end": "error"})

    assert sorted(end["error"]) == ["class", "code", "message"]


@requirement("models.synthetic-ends")
async def test_a_synthetic_stall_lasts_until_it_is_aborted() -> None:
    async with service() as running:
        client = await running.client()
        options = {"count": 5, "end": "stall", "fail_after": 2}
        job_id = await talk.asked(
            client, await talk.begin(client), model=SYNTHETIC, options=options
        )
        await talk.until(client, f"jobs/{job_id}", "item.delta")
        running_view = await talk.job(client, job_id)
        answer = await client.post(f"/api/jobs/{job_id}/abort")

        assert running_view["status"] == "running"
        assert answer.json()["status"] == "aborted"


@requirement("models.synthetic-bounds")
async def test_more_than_synthetic_can_make_is_refused() -> None:
    async with service() as running:
        client = await running.client()
        conversation = await talk.begin(client)
        for options in ({"count": 1_000_001}, {"size": 65_537}, {"size": 0}, {"count": 1.5}):
            refused = await talk.ask(client, conversation, model=SYNTHETIC, options=options)

            assert refused.status_code == 422


@requirement("providers.facts")
async def test_what_is_known_of_a_model_is_shown_and_what_is_not_is_null() -> None:
    endpoint = Endpoint(
        name="up",
        base_url="https://api.anthropic.com",
        models=("claude-sonnet-4-5", "unheard-of"),
        wire="anthropic-messages",
        vendor="anthropic",
    )
    async with service(providers=(Compatible(endpoint),)) as running:
        client = await running.client()
        shown = {each["id"]: each for each in (await client.get("/api/models")).json()["items"]}

    known, unknown = shown["up/claude-sonnet-4-5"], shown["up/unheard-of"]
    fact = facts.find("anthropic", "claude-sonnet-4-5")
    assert (known["context"], known["output_limit"]) == (fact.context, fact.output_limit)
    assert (known["inputs"], known["efforts"]) == (
        fact.inputs and list(fact.inputs),
        fact.efforts and list(fact.efforts),
    )
    assert known["prices"]["input_mtok"]["usd"] == "3"
    assert known["prices"]["source"].startswith("genai-prices ")
    nothing = ("context", "output_limit", "inputs", "efforts", "ends_on", "prices")
    assert [unknown[name] for name in nothing] == [None] * len(nothing)
    assert shown["echo"]["prices"] is None
