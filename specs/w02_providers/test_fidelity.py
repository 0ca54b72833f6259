"""Recorded streams are read as their vendors' own SDKs read them, however they come and end.

The recordings lie beside the checkout, or where WIRE_FIXTURES says; they are no part of it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import orjson
import pytest
import trio

from harness.fidelity import goldens
from harness.fidelity.main import MARKS, Case, play
from harness.upstream.script import Script
from runtime.problems import Upstream
from specs.requirements import requirement
from specs.unit.egress.reading import read
from transports.egress.sse_decoder import SseDecoder

BESIDE = Path(__file__).parents[3] / "shared" / "wire_fixtures"
FOLDER = Path(os.environ.get("WIRE_FIXTURES", BESIDE))
needs_the_folder = pytest.mark.skipif(
    not (FOLDER / "index.json").is_file(),
    reason="needs wire_fixtures beside the checkout (or WIRE_FIXTURES)",
)
SAMPLE = 14  # every so many streams one goes through the whole product
SMALL = 40  # events of a stream that is cut at each of its borders here


def rows() -> list[dict[str, Any]]:
    index = orjson.loads((FOLDER / "index.json").read_bytes())
    return [row for row in index if row["wire"] in goldens.WIRES]


def kept() -> dict[str, Any]:
    return dict(orjson.loads((FOLDER / "sdk_goldens.json").read_bytes()))


def body(row: dict[str, Any]) -> bytes:
    file: str = row["file"]
    return (FOLDER / file).read_bytes()


def shown(row: dict[str, Any], text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what we read, as a job and its end show it."""
    reading = read(row["wire"], text)
    items = [
        {
            "type": each.type,
            "name": each.name or "",
            "text": each.text,
            "arguments": each.arguments,
            "native": {"value": each.native} if each.native is not None else None,
        }
        for each in reading.items
    ]
    usage = {"raw": reading.usage.raw} if reading.usage else None
    end: dict[str, Any] = {"status": "incomplete", "provider_reason": None}
    if isinstance(reading.error, Upstream):
        end = {"status": "failed", "provider_reason": None}
    elif reading.end is not None:
        cut = reading.end.reason in {"length", "filter"}
        status = "incomplete" if cut else "completed"
        end = {"status": status, "provider_reason": reading.end.provider_reason}
    return {"items": items, "usage": usage}, end


@needs_the_folder
@requirement("providers.fidelity")
def test_every_recorded_stream_is_read_as_its_golden() -> None:
    golden = kept()
    wrong = {}
    for row in rows():
        raw = body(row)
        job, end = shown(row, raw.decode("utf-8", "replace"))
        if found := goldens.mismatches(row, golden.get(row["id"]), raw, job, end):
            wrong[row["id"]] = found
    assert wrong == {}


@needs_the_folder
@requirement("providers.framing")
@pytest.mark.parametrize("size", [1, 2, 3, 7, 37])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_no_split_and_no_line_end_changes_what_is_read(size: int, line_end: bytes) -> None:
    for row in rows()[:: 1 if size > 7 else 5]:
        raw = body(row)
        lines = raw.replace(b"\r\n", b"\n").replace(b"\n", line_end)
        decoder = SseDecoder()
        pieces = [lines[at : at + size] for at in range(0, len(lines), size)]
        events = [event for piece in pieces for event in decoder.feed(piece)]
        at_once = SseDecoder()
        assert [*events, *decoder.close()] == [*at_once.feed(raw), *at_once.close()], row["id"]


@needs_the_folder
@requirement("providers.cut")
def test_no_cut_stream_is_a_finished_answer_and_words_only_grow() -> None:
    for row in rows():
        raw = body(row).decode("utf-8", "surrogateescape")
        pieces = Script(raw=raw).events()
        said = ""
        for count in range(len(pieces) if len(pieces) <= SMALL else 0):
            came = b"".join(pieces[:count])
            job, end = shown(row, came.decode("utf-8", "replace"))
            text = goldens.text_of(job)
            if MARKS[row["wire"]].search(came) is None:
                assert end["status"] != "completed", (row["id"], count)
            assert text.startswith(said), (row["id"], count)
            said = text


@needs_the_folder
@requirement("providers.fidelity")
async def test_a_sample_goes_through_the_whole_product() -> None:
    golden = kept()
    chosen = rows()[::SAMPLE]
    cases = [
        Case(row=row, script=Script(raw=body(row).decode("utf-8", "surrogateescape")))
        for row in chosen
    ]
    with trio.fail_after(60):
        seen = await play(cases)
    wrong = {
        case.model: found
        for case in cases
        if (
            found := goldens.mismatches(
                case.row,
                golden.get(case.row["id"]),
                body(dict(case.row)),
                seen[case.model].job,
                seen[case.model].end,
            )
        )
    }
    assert wrong == {}
