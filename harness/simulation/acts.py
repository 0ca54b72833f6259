"""What the clients do in each step of a plan, with the numbers that the step holds.

Theory: a step finds its objects when it is taken (`number % len`), so it makes sense whatever other
steps were left out before it. What is asked here is judged in `clients`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import orjson

from harness.simulation.badges import CALLERS
from harness.simulation.clients import Clients, Thing
from harness.simulation.network import ROOM_BYTES
from harness.simulation.plan import Step, pick
from harness.simulation.scripted import Script

GOOD_ENDS: Final = ("finish", "finish", "finish", "length")
ALL_ENDS: Final = (
    *GOOD_ENDS,
    "finish",
    "truncate",
    "truncate",
    "error",
    "refuse",
    "garbage",
    "reset",
    "reset",
    "stall",
    "bug",
)
QUESTION: Final = {"input": "let me in"}
INTRUSIONS: Final = (
    ("GET", "/api/jobs/{}", "job", None),
    ("GET", "/api/jobs/{}/events", "job", None),
    ("POST", "/api/jobs/{}/abort", "job", None),
    ("GET", "/api/conversations/{}", "conv", None),
    ("GET", "/api/conversations/{}/messages", "conv", None),
    ("GET", "/api/conversations/{}/events", "conv", None),
    ("POST", "/api/conversations/{}/jobs", "conv", QUESTION),
    ("GET", "/v1/stream/jobs/{}", "job", None),
)
SPLITS: Final = (0, 0, 1, 3, 8)
ROOMS: Final = (ROOM_BYTES, ROOM_BYTES, 300)
STALLS_S: Final = (0.5, 5.0, 40.0, 100.0)
WORD_PAUSES_MS: Final = (0, 0, 2, 10, 50, 300)


class Acts:
    """The steps that are a client's affair."""

    def __init__(self, clients: Clients, *, bad_vendor: bool) -> None:
        self._us, self._bad_vendor = clients, bad_vendor

    def of(self, step: Step) -> Callable[[], Awaitable[None]] | None:
        """Return what a client does in this step; None where it is no client's affair."""
        if step.kind == "begin":
            return lambda: self._begin(step)
        known: dict[str, Callable[[Step], Awaitable[None]]] = {
            "ask": self._ask,
            "again": self._again,
            "follow": self._follow,
            "resume": self._resume,
            "abort": self._abort,
            "look": self._look,
            "page": self._page,
            "messages": self._messages,
            "intrude": self._intrude,
            "revoke": self._revoke,
            "stall": self._stall,
        }
        act = known.get(step.kind)
        return None if act is None else (lambda: act(step))

    async def _begin(self, step: Step) -> None:
        await self._us.begin(pick(CALLERS, step.numbers[0]), step.numbers[1])

    async def _ask(self, step: Step) -> None:
        if not self._us.conversations:
            await self._begin(step)
            return
        talk = self._us.conversations[step.numbers[0] % min(4, len(self._us.conversations))]
        on_active = pick(("refuse", "replace", "replace", "queue", "queue"), step.numbers[2])
        fenced = on_active == "replace" and step.numbers[3] % 3 == 0
        await self._us.ask(
            talk,
            self._script(step.numbers[1], step.numbers[5]),
            on_active,
            replaces=self._fence(talk, step.numbers[4]) if fenced else None,
            number=step.numbers[5],
        )

    def _fence(self, talk: Thing, number: int) -> str:
        running = self._us.oracle.running.get(talk.id)
        if running and number % 3:
            return running
        return self._us.jobs[number % len(self._us.jobs)].id if self._us.jobs else "job_unheard_of"

    def _script(self, number: int, more: int) -> Script:
        ends = ALL_ENDS if self._bad_vendor else GOOD_ENDS
        return Script(
            seed=number % 9000,
            words=number // 3 % 9,
            pause_ms=WORD_PAUSES_MS[number // 31 % len(WORD_PAUSES_MS)],
            end=ends[number // 211 % len(ends)],  # type: ignore[arg-type]
            at=more // 7 % 1500 if more % 3 else None,
            splits=SPLITS[more % len(SPLITS)],
            thinks=number % 5 == 0,
            counts=number % 4 == 0,
        )

    async def _again(self, step: Step) -> None:
        if self._us.posts:
            post = self._us.posts[-1 - step.numbers[0] % min(3, len(self._us.posts))]
            await self._us.post(post.owner, post.path, post.body, 0, post)

    async def _follow(self, step: Step) -> None:
        things = self._us.jobs or self._us.conversations
        if step.numbers[0] % 4 == 0:
            things = self._us.conversations
        if not things:
            return
        thing = things[-1 - step.numbers[1] % min(5, len(things))]
        stream = f"{'jobs' if thing.conversation_id else 'conversations'}/{thing.id}"
        places = (
            0,
            0,
            None,
            step.numbers[3] % (1 + len(self._us.oracle.logs.get(stream, ()))),
        )
        cursor, by_header = places[step.numbers[2] % 4], step.numbers[4] % 2 == 0
        follower = self._us.follower(thing, cursor, by_header=by_header)
        follower.room = ROOMS[step.numbers[5] % len(ROOMS)]
        await follower.run(self._us.connect)

    async def _resume(self, step: Step) -> None:
        idle = [each for each in self._us.followers if not each.connected and not each.ended]
        if idle:
            follower = idle[step.numbers[0] % len(idle)]
            await follower.run(self._us.connect)

    async def _abort(self, step: Step) -> None:
        if self._us.jobs:
            await self._us.abort(self._us.jobs[-1 - step.numbers[0] % min(5, len(self._us.jobs))])

    async def _look(self, step: Step) -> None:
        if self._us.jobs:
            job = self._us.jobs[step.numbers[0] % len(self._us.jobs)]
            before = self._us.oracle.jobs[job.id].end
            answer = await self._us.request(job.owner, "GET", f"/api/jobs/{job.id}", allows=(200,))
            if answer and before and answer.json()["status"] != before["status"]:
                self._us.oracle.wrong("GET shows the end", job.id, answer.json()["status"], before)

    async def _page(self, step: Step) -> None:
        if self._us.jobs:
            job = self._us.jobs[step.numbers[0] % len(self._us.jobs)]
            stream = f"jobs/{job.id}"
            log = self._us.oracle.logs.get(stream, [])
            after, limit = step.numbers[1] % (len(log) + 1), 1 + step.numbers[2] % 7
            wait = step.numbers[3] % 3 if step.numbers[3] % 2 else 0
            path = f"/api/{stream}/events?after={after}&limit={limit}&wait={wait}"
            if answer := await self._us.request(job.owner, "GET", path, allows=(200,)):
                self._us.check_page(stream, after, answer)

    async def _messages(self, step: Step) -> None:
        if self._us.conversations:
            talk = self._us.conversations[step.numbers[0] % len(self._us.conversations)]
            path = f"/api/conversations/{talk.id}/messages?limit={1 + step.numbers[1] % 9}"
            await self._us.request(talk.owner, "GET", path, allows=(200,))

    async def _intrude(self, step: Step) -> None:
        """Ask for somebody else's thing, and for a thing that never was: the answers are one."""
        if not self._us.jobs:
            return
        job = self._us.jobs[step.numbers[0] % len(self._us.jobs)]
        stranger = pick([each for each in CALLERS if each != job.owner], step.numbers[1])
        method, path, noun, body = INTRUSIONS[step.numbers[2] % len(INTRUSIONS)]
        thing = job.id if noun == "job" else job.conversation_id
        answers = [
            await self._us.request(stranger, method, path.format(each), body=body, allows=(404,))
            for each in (thing, f"{noun}_{'0' * 26}")
        ]
        told = [
            {k: v for k, v in each.json().items() if k != "instance"} for each in answers if each
        ]
        if len({orjson.dumps(each) for each in told if "status" in each}) > 1:
            self._us.oracle.wrong("what is another's is absent", thing, told)

    async def _revoke(self, step: Step) -> None:
        """End a token and use it once more."""
        caller = pick(CALLERS, step.numbers[0])
        badge = self._us.badges.revoke(caller)
        await self._us.request(
            caller, "GET", "/api/conversations?limit=1", allows=(401,), badge=badge
        )

    async def _stall(self, step: Step) -> None:
        """Let a reader read nothing for a while: one that is there, or one that comes for that."""
        reading = [each for each in self._us.followers if each.reading]
        seconds = STALLS_S[step.numbers[1] % len(STALLS_S)]
        if reading and step.numbers[2] % 2:
            reading[-1 - step.numbers[0] % len(reading)].stall(seconds)
        elif self._us.conversations:
            follower = self._us.follower(self._us.conversations[-1])
            follower.room = 0
            follower.stall(seconds)
            await follower.run(self._us.connect)
