"""The hub wakes who waits for a stream, and keeps nothing of a stream at rest."""

from __future__ import annotations

import trio
import trio.testing

from runtime.hub import Hub


async def test_all_who_wait_for_a_stream_are_woken_and_no_other(
    autojump_clock: trio.testing.MockClock,
) -> None:
    hub, woken = Hub(), list[str]()

    async def wait(stream: str) -> None:
        await hub.wait(stream)
        woken.append(stream)

    async with trio.open_nursery() as nursery:
        for stream in ("a", "a", "b"):
            nursery.start_soon(wait, stream)
        await trio.testing.wait_all_tasks_blocked()
        hub.announce("a")
        await trio.testing.wait_all_tasks_blocked()
        assert woken == ["a", "a"]
        assert hub.waiting() == 1
        nursery.cancel_scope.cancel()


async def test_who_waits_for_any_of_several_is_woken_by_each() -> None:
    hub = Hub()
    for announced in ("a", "b"):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hub.wait_any, ("a", "b"))
            await trio.testing.wait_all_tasks_blocked()
            hub.announce(announced)

    assert hub.waiting() == 0


async def test_an_announcement_right_after_the_wait_began_is_not_lost(
    autojump_clock: trio.testing.MockClock,
) -> None:
    hub, woken = Hub(), 0
    with trio.fail_after(1):
        for _ in range(64):  # trio runs what is ready in any order: each order is met
            trio.lowlevel.current_trio_token().run_sync_soon(hub.announce, "a")
            await hub.wait_any(("a", "b"))
            woken += 1

    assert (woken, hub.waiting()) == (64, 0)


async def test_one_that_leaves_takes_no_wake_up_from_one_that_has_just_come(
    autojump_clock: trio.testing.MockClock,
) -> None:
    hub, woken = Hub(), list[str]()

    async def wait_for_any() -> None:
        await hub.wait_any(("a", "b"))
        woken.append("came")

    with trio.fail_after(1):
        for _ in range(64):
            async with trio.open_nursery() as nursery:
                leaving = trio.CancelScope()
                with leaving:
                    nursery.start_soon(wait_for_any)
                    leaving.cancel()
                    await hub.wait("a")
                trio.lowlevel.current_trio_token().run_sync_soon(hub.announce, "a")
                await trio.testing.wait_all_tasks_blocked()
                hub.announce("a")

    assert (len(woken), hub.waiting()) == (64, 0)


async def test_a_reader_that_leaves_leaves_nothing_behind() -> None:
    hub = Hub()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hub.wait, "a")
        nursery.start_soon(hub.wait, "a")
        nursery.start_soon(hub.wait_any, ("a", "b"))
        await trio.testing.wait_all_tasks_blocked()
        assert hub.waiting() == 2
        nursery.cancel_scope.cancel()

    assert hub.waiting() == 0


async def test_an_announcement_nobody_waits_for_costs_nothing() -> None:
    hub = Hub()
    hub.announce("a")

    assert hub.waiting() == 0


async def test_a_task_is_released_for_a_reason_of_its_own_and_alone() -> None:
    hub, woken = Hub(), list[str]()
    tasks: dict[str, trio.lowlevel.Task] = {}

    async def wait(name: str) -> None:
        tasks[name] = trio.lowlevel.current_task()
        await hub.wait_any(("a", "b"))
        woken.append(name)

    async with trio.open_nursery() as nursery:
        for name in ("one", "other"):
            nursery.start_soon(wait, name)
        await trio.testing.wait_all_tasks_blocked()
        hub.release(tasks["one"])
        hub.release(tasks["one"])
        await trio.testing.wait_all_tasks_blocked()
        assert (woken, hub.waiting()) == (["one"], 2)
        hub.announce("b")

    hub.release(tasks["other"])
    assert (woken, hub.waiting()) == (["one", "other"], 0)
