"""An import runs in a process of its own, which ends with the wait for it, whatever it reads."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator

import orjson
import pytest
import trio

from specs.requirements import requirement
from specs.unit.egress.actions.kit import openapi
from transports.egress.actions.importing import Importer, pieces
from transports.egress.actions.making import Choice
from transports.egress.actions.reading import Unusable

DOCUMENT = orjson.dumps(openapi({"/cats": {"get": {"operationId": "cats"}}}))
WAIT_S = 60


def is_there(pid: int) -> bool:
    """Say whether there is a process, or what is left of one that nobody has waited for."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@requirement("actions.child")
async def test_a_document_is_read_in_a_child() -> None:
    importer = Importer()
    with trio.fail_after(WAIT_S):
        made = await importer.read(pieces(DOCUMENT), Choice(makes=True))
    assert [each["name"] for each in made["actions"]] == ["cats"]
    assert made["preview"]["taken"] == 1
    assert importer.pids == set()


async def test_what_the_child_refuses_is_refused_here() -> None:
    with trio.fail_after(WAIT_S), pytest.raises(Unusable) as caught:
        await Importer().read(pieces(b"<html>"), Choice())
    assert caught.value.rule == "html"


@requirement("actions.child")
async def test_a_document_that_wants_too_much_memory_ends_its_child_alone() -> None:
    importer = Importer(memory_bytes=256 * 1024 * 1024)
    nested = b"[" + b"{}," * 6_000_000 + b"{}]"
    with trio.fail_after(WAIT_S), pytest.raises(Unusable) as caught:
        await importer.read(pieces(b'{"openapi": "3.1.0", "x": ' + nested + b"}"), Choice())
    assert caught.value.rule == "memory"


@requirement("actions.child")
async def test_a_wait_that_ends_kills_the_child() -> None:
    begun, importer = trio.Event(), Importer()

    async def endless() -> AsyncIterator[bytes]:
        yield b"{"
        begun.set()
        await trio.sleep_forever()

    with trio.fail_after(WAIT_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(importer.read, endless(), Choice())
            await begun.wait()
            [child] = importer.pids
            before = is_there(child)
            nursery.cancel_scope.cancel()
    assert (before, is_there(child)) == (True, False)


@requirement("actions.child")
async def test_a_child_that_is_killed_fails_its_import_at_once() -> None:
    begun, importer = trio.Event(), Importer()

    async def endless() -> AsyncIterator[bytes]:
        yield b"{"
        begun.set()
        await trio.sleep_forever()

    async def kill() -> None:
        await begun.wait()
        [child] = importer.pids
        os.kill(child, signal.SIGKILL)

    with trio.fail_after(WAIT_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(kill)
            with pytest.raises(Unusable) as caught:
                await importer.read(endless(), Choice())
    assert (caught.value.rule, importer.pids) == ("memory", set())


async def test_a_document_that_does_not_come_is_given_up() -> None:
    async def endless() -> AsyncIterator[bytes]:
        await trio.sleep_forever()
        yield b""

    with trio.fail_after(WAIT_S), pytest.raises(Unusable) as caught:
        await Importer(wait_s=0.2).read(endless(), Choice())
    assert caught.value.rule == "too-slow"


async def test_what_a_source_of_documents_raises_is_raised_as_itself() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"{"
        raise ConnectionError

    with trio.fail_after(WAIT_S), pytest.raises(ConnectionError):
        await Importer().read(broken(), Choice())


async def test_more_than_a_document_may_have_is_not_taken() -> None:
    async def flood() -> AsyncIterator[bytes]:
        while True:
            yield b" " * (4 * 1024 * 1024)

    with trio.fail_after(WAIT_S), pytest.raises(Unusable) as caught:
        await Importer().read(flood(), Choice())
    assert caught.value.rule == "too-large"
