"""Recorded streams through the whole product: what is wrong is named, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.fidelity import goldens
from specs.unit.egress import streams_of_openai as openai
from specs.unit.egress import streams_of_others as others

ROOT = Path(__file__).parents[3]
TOOLS: Any = [["look", '{"at":1}'], ["ask", '{"why":"Ü"}']]
STREAMS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "two-choices": (
        "openai-chat",
        openai.CHAT_TWO_CHOICES,
        {
            "text": "Let me look.",
            "tools": TOOLS,
            "usage": openai.CHAT_USAGE,
            "finish": "tool_calls",
        },
    ),
    "sealed": (
        "openai-responses",
        openai.RESPONSES_SEALED,
        {
            "tools": [["look", '{"at":1}']],
            "item_types": ["reasoning", "function_call"],
            "usage": openai.RESPONSES_USAGE,
            "status": "completed",
        },
    ),
    "thought": (
        "anthropic-messages",
        others.CLAUDE_THOUGHT,
        {
            "text": "One moment.",
            "tools": [["look", '{"at": 1}'], ["leave", "{}"]],
            "sigs": [8],
            "blocks": ["thinking", "redacted_thinking", "text", "tool_use", "tool_use"],
            "stop": "tool_use",
        },
    ),
    "safety": (
        "google-generate",
        others.GEMINI_SAFETY,
        {"text": "Well, ", "tools": [], "sigs": 0, "finish": "FinishReason.SAFETY"},
    ),
}


def folder_of(folder: Path, **changes: dict[str, Any]) -> Path:
    """Make a folder of recordings; `changes` are what its goldens say otherwise."""
    index = []
    for name, (wire, body, _) in STREAMS.items():
        (folder / f"{name}.sse").write_text(body, encoding="utf-8")
        index.append({"id": name, "wire": wire, "file": f"{name}.sse", "features": []})
    kept = {
        name: {"ok": True, **golden, **changes.get(name, {})}
        for name, (_, _, golden) in STREAMS.items()
    }
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")
    (folder / "sdk_goldens.json").write_text(json.dumps(kept), encoding="utf-8")
    return folder


def fidelity(*arguments: str) -> tuple[int, list[str]]:
    """Run the command; return its status and the lines it printed."""
    command = [sys.executable, "-m", "harness", "fidelity", *arguments]
    ran = subprocess.run(  # its status is what is asked for
        command, cwd=ROOT, capture_output=True, text=True, timeout=170, check=False
    )
    return ran.returncode, ran.stdout.splitlines() or ran.stderr.splitlines()


def test_each_difference_is_named_and_nothing_else(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path,
        safety={"text": "Well."},
        thought={"sigs": [9]},
        sealed={"status": "failed"},
    )
    assert fidelity(str(folder), "--split", "3", "--crlf") == (
        1,
        [
            "sealed: status: wanted 'failed', got 'completed'",
            "thought: signatures: wanted '[9]', got '[8]'",
            "safety: text: wanted 'Well.', got 'Well, '",
            "1/4",
        ],
    )


def test_no_stream_that_is_cut_is_shown_as_finished(tmp_path: Path) -> None:
    cuts = sum(body.count("\n\n") + 1 for _, body, _ in STREAMS.values())
    assert fidelity(str(folder_of(tmp_path)), "--cut", "events") == (0, [f"{cuts}/{cuts}"])


def test_a_failure_that_the_wire_names_is_how_it_stopped() -> None:
    row = {"wire": "google-generate", "features": []}
    golden = {"finish": "FinishReason.MALFORMED_FUNCTION_CALL"}
    failed = {"status": "failed", "error": {"code": "MALFORMED_FUNCTION_CALL"}}
    assert goldens.mismatches(row, golden, b"", {"items": []}, failed) == []


def tools(wanted: Any, *calls: tuple[str, str]) -> list[str]:
    items = [{"type": "tool_call", "name": name, "arguments": said} for name, said in calls]
    row = {"wire": "openai-chat", "features": []}
    return goldens.mismatches(row, {"tools": wanted}, b"", {"items": items}, {"status": "x"})


@pytest.mark.parametrize(
    ("wanted", "calls", "is_same"),
    [
        ([["f", '{"a": 1}']], [("f", '{"a":1}')], True),
        ([["f", ""]], [("f", "{}")], True),
        ([["ff", "{}"]], [("f", "{}")], True),  # its name came with every piece
        ([["fg", "{}{}"]], [("f", "{}"), ("g", "{}")], True),  # two calls under one index
        ([["ff", "{}{}"], ["g", "1"]], [("f", "{}"), ("f", "{}"), ("g", "1")], True),
        ([["f", "{}"]], [("f", "{}"), ("g", "{}")], False),
        ([["f", '{"a": 1}']], [("f", '{"a": 2}')], False),
        ([["f", "{}"], ["g", "{}"]], [("g", "{}"), ("f", "{}")], False),
        ([], [("f", "{}")], False),
    ],
)
def test_what_an_sdk_joins_is_taken_apart_by_rule(
    wanted: Any, calls: list[tuple[str, str]], is_same: bool
) -> None:
    assert (tools(wanted, *calls) == []) is is_same
