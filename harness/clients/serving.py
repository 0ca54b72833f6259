"""The service that real clients are let at: our own, before an upstream whose answers are written.

`up/thinker` thinks, says and counts; `up/caller` thinks and calls the client's tool; `echo` calls
it, and says back what it answered; `up/slow` takes its time, and `up/broken` has no end.
Source: `harness/upstream/script.py`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from harness import announced

TEXT = "Hello from upstream."
THOUGHT = "Let me think."
USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 7,
    "total_tokens": 18,
    "prompt_tokens_details": {"cached_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 4},
}
ARGUMENTS = {"location": "Berlin"}


def chunk(delta: Mapping[str, Any], reason: str | None = None) -> dict[str, Any]:
    """Return one chunk of the upstream's stream."""
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {"id": "c", "object": "chat.completion.chunk", "choices": [choice]}


def scripts() -> dict[str, Any]:
    """Return what each of the upstream's models answers."""
    function = {"name": "get_weather", "arguments": json.dumps(ARGUMENTS)}
    call = {"index": 0, "id": "call_1", "type": "function", "function": function}
    thoughts = [chunk({"role": "assistant", "reasoning_content": w}) for w in ("Let me ", "think.")]
    words = [chunk({"content": word}) for word in ("Hello ", "from ", "upstream.")]
    used = {"id": "c", "object": "chat.completion.chunk", "choices": [], "usage": USAGE}
    return {
        "broken": {"chunks": words[:1], "reason": None, "done": False},
        "slow": {"chunks": [*words, chunk({}, "stop")], "delay_s": 0.2},
        "thinker": {"chunks": [*thoughts, *words, chunk({}, "stop"), used]},
        "caller": {
            "chunks": [*thoughts, chunk({"tool_calls": [call]}), chunk({}, "tool_calls"), used]
        },
    }


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve on a folder that is thrown away; yield the url."""
    with ExitStack() as stack:
        written = folder / "scripts.json"
        written.write_text(json.dumps(scripts()), encoding="utf-8")
        upstream = [sys.executable, "-m", "harness.upstream", "--scripts", str(written)]
        config = folder / "config.toml"
        config.write_text(
            f'[endpoints.up]\nbase_url = "{stack.enter_context(announced.started(upstream))}/v1"\n'
            f'wire = "openai-chat"\nmodels = {json.dumps(list(scripts()))}\n'
            "allow_loopback = true\n",
            encoding="utf-8",
        )
        ours = announced.serving(folder / "data", "--config", str(config), user="clients")
        yield stack.enter_context(ours)
