"""The vendors' own SDKs build and sign what OpenAI, Anthropic and Google are asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.upstream.program import Record
from harness.upstream.script import Script
from harness.upstream.strict import StrictUpstream
from specs.requirements import requirement
from specs.unit.egress import streams_of_openai as openai
from specs.unit.egress import streams_of_others as others
from specs.unit.egress.compatible_kit import (
    CHAT,
    CLAUDE,
    GEMINI,
    KEY,
    RESPONSES,
    VENDORS,
    WIRES,
    asking,
    heard,
    reaching,
    text,
)
from transports.egress import guard
from transports.egress.providers import wires
from transports.egress.providers.asked import Wanted
from transports.egress.providers.base import NetworkOptions, Retracted
from transports.egress.providers.drafting import drafter_for

SAID = {
    CHAT: Script(),
    RESPONSES: Script(raw=openai.RESPONSES_SEALED),
    CLAUDE: Script(raw=others.CLAUDE_THOUGHT),
    GEMINI: Script(raw=others.GEMINI_THOUGHT),
}
MADE_BY = {"openai": "AsyncOpenAI", "anthropic": "AsyncAnthropic", "google": "google-genai-sdk"}
SIGNED = {
    "openai": {"authorization": f"Bearer {KEY}"},
    "anthropic": {"authorization": f"Bearer {KEY}"},
    "google": {"x-goog-api-key": KEY},
}
OLD = "2023-06-01"
FEW: dict[str, Any] = {"temperature": 0.5}


async def asked(wire: str, vendor: str | None, key: str = KEY, **options: Any) -> Record:
    """Return the one request that an answer took."""
    async with reaching(SAID[wire], wire=wire, vendor=vendor, key=key) as (provider, upstream):
        request = asking(provider, options=NetworkOptions(**options))
        parts, failure = await heard(provider, request=replace(request, traceparent="00-1-2-01"))
    assert failure is None
    assert text(parts) != ""
    [record] = upstream.records
    return record


def told(record: Record) -> Any:
    """Return a body without the empty object that one SDK puts into each."""
    return {name: value for name, value in record.body.items() if value != {}}


@requirement("providers.sdks")
@pytest.mark.parametrize("wire", WIRES)
async def test_a_vendor_is_asked_by_what_its_own_sdk_builds_and_signs(wire: str) -> None:
    record = await asked(wire, VENDORS[wire])
    assert record.headers["user-agent"].partition("/")[0] == MADE_BY[VENDORS[wire]]
    assert SIGNED[VENDORS[wire]].items() <= record.headers.items()
    assert record.headers["accept"] == "text/event-stream"
    assert record.headers["accept-encoding"] == "identity"
    assert record.headers["traceparent"] == "00-1-2-01"
    assert StrictUpstream({record.model: Script()}).refusal(record) is None


@requirement("providers.sdks")
@pytest.mark.parametrize("wire", WIRES)
async def test_the_sdk_sends_our_body_to_the_wires_own_place(wire: str) -> None:
    by_sdk, plain = await asked(wire, VENDORS[wire]), await asked(wire, None)
    assert plain.headers["user-agent"] == "runchat"
    assert (by_sdk.path, told(by_sdk)) == (plain.path, told(plain))


@pytest.mark.parametrize("vendor", ["google", None])
@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("gemini-3", "models/gemini-3"),
        ("models/gemini-3", "models/gemini-3"),
        ("tunedModels/mine-1", "tunedModels/mine-1"),
        ("org/m:free", "models/org/m%3Afree"),
        ("a?b&c#d", "models/a%3Fb%26c%23d"),
        ("a..b%2F", "models/a%2E%2Eb%252F"),
        ("{api_version}", "models/%7Bapi_version%7D"),
        ("\u6a21", "models/%E6%A8%A1"),
    ],
)
async def test_a_models_name_is_quoted_in_googles_path_and_says_its_own_kind(
    vendor: str | None, name: str, place: str
) -> None:
    base_url = "https://llm.example"
    async with guard.client(base_url=base_url) as client:
        drafter = await drafter_for(
            wires.WIRES[GEMINI], client, vendor=vendor, base_url=base_url, key=KEY
        )
        drafted = await drafter.draft(name, {}, {})
    assert drafted.url.raw_path.decode() == f"/v1beta/{place}:streamGenerateContent?alt=sse"


@pytest.mark.parametrize("wire", WIRES)
async def test_without_a_key_there_is_nothing_for_an_sdk_to_sign(wire: str) -> None:
    record = await asked(wire, VENDORS[wire], key="")
    assert record.headers["user-agent"] == "runchat"
    assert record.headers.keys() & {"authorization", "x-api-key", "x-goog-api-key"} == set()


@pytest.mark.parametrize("vendor", ["openrouter", "anthropic", None])
async def test_who_is_not_the_wires_vendor_is_asked_plainly(vendor: str | None) -> None:
    record = await asked(CHAT, vendor)
    assert record.headers["user-agent"] == "runchat"
    assert record.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("wire", WIRES)
async def test_the_environment_says_nothing_to_a_provider(
    wire: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for vendor in ("OPENAI", "ANTHROPIC"):
        monkeypatch.setenv(f"{vendor}_CUSTOM_HEADERS", "Authorization: Bearer other\nX-Else: other")
        monkeypatch.setenv(f"{vendor}_BASE_URL", "http://10.9.9.9/v1")
    for name in ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "ANTHROPIC_AUTH_TOKEN", "GOOGLE_API_KEY"):
        monkeypatch.setenv(name, "other")
    for name in ("GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_ENTERPRISE"):
        monkeypatch.setenv(name, "true")
    monkeypatch.setenv("GOOGLE_GENAI_API_VERSION", "other")
    record = await asked(wire, VENDORS[wire])
    assert [name for name, value in record.headers.items() if "other" in value] == []
    assert record.path == (await asked(wire, None)).path


@pytest.mark.parametrize(
    ("vendor", "options", "is_old"),
    [("anthropic", {}, False), ("anthropic", FEW, True), (None, {}, True), (None, FEW, True)],
)
async def test_anthropic_is_told_how_to_sample_by_the_version_that_takes_it(
    vendor: str | None, options: dict[str, Any], *, is_old: bool
) -> None:
    record = await asked(CLAUDE, vendor, **options)
    assert (record.headers["anthropic-version"] == OLD) is is_old
    assert options.items() <= record.body.items()
    assert StrictUpstream({record.model: Script()}).refusal(record) is None


async def test_a_version_that_takes_no_sampling_is_refused_with_it() -> None:
    record = await asked(CLAUDE, "anthropic", **FEW)
    today = replace(record, headers={**record.headers, "anthropic-version": "2026-10-21"})
    upstream = StrictUpstream({record.model: Script()})
    assert upstream.refusal(today) == "how to sample is the model's to say by version 2026-10-21"


@pytest.mark.parametrize("vendor", ["openai", None])
async def test_two_tries_of_one_request_carry_one_key(vendor: str | None) -> None:
    failing = Script(status=503)
    async with reaching(failing, vendor=vendor, retries=1) as (provider, upstream):
        parts, failure = await heard(provider)
    assert failure is not None
    assert [part for part in parts if isinstance(part, Retracted)] == []
    first, second = (record.headers["idempotency-key"] for record in upstream.records)
    assert (first, len(first)) == (second, 32)


@pytest.mark.parametrize("vendor", ["openai", None])
@pytest.mark.parametrize("whole", [True, False])
async def test_only_a_whole_answer_may_be_silent_for_longer_than_a_read(
    vendor: str | None, *, whole: bool
) -> None:
    script = Script(first_delay_s=0.2)
    async with reaching(script, vendor=vendor, idle_s=0.05) as (provider, upstream):
        request = replace(asking(provider), wanted=Wanted(whole=whole))
        _, failure = await heard(provider, request=request)
    assert (None if failure is None else failure.extensions["code"]) == (
        None if whole else "idle-timeout"
    )
    accepted = "application/json" if whole else "text/event-stream"
    assert upstream.records[0].headers["accept"] == accepted
