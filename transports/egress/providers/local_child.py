"""The program that runs the embedded model, alone, so that a native crash costs one job.

    python -I local_child.py MODEL.gguf CONTEXT THREADS OWNER

It speaks JSON lines. In: `{"id": 1, "messages": [...], "options": {...}}`, `{"cancel": 1}`. Out:
`{"ready": true}` once, then for each id `{"id": 1, "text": "..."}` and one end: `{"id": 1, "end":
"stop", "usage": {...}}`, with an `"error": {...}` in it where there was one. When its input closes,
which a killed parent cannot prevent, it is gone at once: a thread of its own waits for that, and
the native code lets threads run. (PR_SET_PDEATHSIG would be wrong: it follows the parent's thread,
and trio starts processes from threads that leave.) It imports nothing of the project.
Source: xllamacpp 2026.10.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, BinaryIO

SECURE_CHARS = 32  # of the key that closes the native server's own door


def main() -> None:
    """Load the model, then answer one request after another until the input closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the service, which then closes us
    model, context, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what native code prints must not look like an answer
    inbox = Inbox(sys.stdin.buffer)
    threading.Thread(target=inbox.run, name="inbox", daemon=True).start()
    server = load(model, context, threads)
    say(out, {"ready": True})
    while True:
        request = inbox.requests.get()
        answer(server, request, lambda line: say(out, line), inbox.is_cancelled)


class Inbox:
    """Reads the input; knows which answers are no longer wanted."""

    def __init__(self, source: BinaryIO) -> None:
        self.requests: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self._source = source
        self._cancelled = 0  # ids only grow, and one answer is made at a time

    def run(self) -> None:
        """Sort what comes in; leave the process, whatever it does, when nothing more can come."""
        with contextlib.suppress(Exception):
            for line in self._source:
                message = json.loads(line)
                if "cancel" in message:
                    self._cancelled = max(self._cancelled, message["cancel"])
                else:
                    self.requests.put(message)
        os._exit(0)

    def is_cancelled(self, request_id: int) -> bool:
        """Say whether the answer with this id is no longer wanted."""
        return request_id <= self._cancelled


def load(model: str, context: int, threads: int) -> Any:
    """Return the native server with the model in it.

    It insists on listening somewhere: on a socket in a private folder that is removed at once, with
    a key that nobody knows. It is only ever called in this process.
    """
    xllamacpp = importlib.import_module("xllamacpp")  # optional, and without types
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.n_ctx = context
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.n_threads_http = 1
    params.cache_ram_mib = 0  # no store of old prompts beside the one of the last answer
    params.fit_params = params.warmup = params.ui = params.endpoint_slots = False
    params.offline = True
    params.verbosity = 1  # errors only: no user's text
    params.api_keys = [os.urandom(SECURE_CHARS).hex()]
    with tempfile.TemporaryDirectory(prefix="runchat-") as folder:
        params.hostnames = [os.path.join(folder, "model.sock")]  # noqa: PTH118 -- it wants a str
        return xllamacpp.Server(params)


def answer(
    server: Any,
    request: dict[str, Any],
    tell: Callable[[dict[str, Any]], None],
    is_cancelled: Callable[[int], bool],
) -> None:
    """Make one answer and say its end, whatever happens."""
    request_id = request["id"]
    end: dict[str, Any] = {"end": "none"}

    def take(chunk: dict[str, Any]) -> bool:
        if problem := chunk.get("error"):
            end["error"] = {"code": str(problem.get("type")), "message": problem.get("message")}
        if usage := chunk.get("usage"):
            end["usage"] = usage
        for choice in chunk.get("choices", ()):
            if text := choice["delta"].get("content"):
                tell({"id": request_id, "text": text})
            if reason := choice.get("finish_reason"):
                end["end"] = reason
        return is_cancelled(request_id)

    body = {"messages": request["messages"], "stream": True, **request["options"]}
    body["stream_options"] = {"include_usage": True}
    if not is_cancelled(request_id):
        try:
            server.handle_chat_completions(body, take)
        except Exception as error:  # noqa: BLE001 -- one request must not cost the next one
            end["error"] = {"code": type(error).__name__, "message": "The model could not run."}
    tell({"id": request_id, **end})


def say(out: BinaryIO, line: dict[str, Any]) -> None:
    """Write one line to the parent."""
    out.write(json.dumps(line).encode() + b"\n")
    out.flush()


if __name__ == "__main__":
    main()
