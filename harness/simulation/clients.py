"""The clients of a run: they ask, follow, abort, look, and say at once what may not be answered.

Theory: a client knows what it asked for and what went wrong on purpose meanwhile, so it can tell an
answer that the contract allows from one that it does not. What it cannot know (a request whose
connection was lost) it does not guess; the final look at the store settles it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from typing import Any, Final

import orjson
import trio

from harness.faults import Faults
from harness.simulation.follower import Follower
from harness.simulation.oracle import Oracle
from harness.simulation.plan import Step, pick
from harness.simulation.process import Note, Process
from harness.simulation.scripted import MODEL, Script
from harness.simulation.wire import Answer, Exchange, Lost

CALLERS: Final = ("one/alice", "one/bob", "two/carol")
ANSWER_S: Final = 60.0  # virtual; longer than every bound inside the product
GOOD_ENDS: Final = ("finish", "finish", "finish", "length")
ALL_ENDS: Final = (*GOOD_ENDS, "finish", "truncate", "error", "reset", "stall", "bug")
WORD_PAUSES_MS: Final = (0, 0, 2, 10, 50, 300)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """A conversation, or a job in it."""

    id: str
    owner: str
    conversation_id: str = ""
    script: Script = field(default_factory=Script)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A change that a client was told has happened."""

    action: str
    object_id: str
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A POST with an idempotency key, to be sent again."""

    owner: str
    path: str
    body: Mapping[str, Any]
    key: str
    id: str | None  # of what it made, where the answer came


@dataclass(slots=True, kw_only=True)
class Clients:
    """All clients of a run."""

    faults: Faults
    oracle: Oracle
    note: Note
    process: Callable[[], Process]
    bad_vendor: bool
    conversations: list[Thing] = field(default_factory=list)
    jobs: list[Thing] = field(default_factory=list)
    scripts: dict[str, Script] = field(default_factory=dict)  # by the text of the question
    followers: list[Follower] = field(default_factory=list)
    accepted: list[Accepted] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    asked: int = 0

    def connect(self) -> trio.abc.Stream | None:
        """Return a connection to the process of this moment; None where nobody listens."""
        return self.process().connect()

    # --- requests ---

    async def request(
        self,
        caller: str,
        method: str,
        path: str,
        *,
        body: Any = None,
        key: str | None = None,
        allows: tuple[int, ...] = (),
    ) -> Answer | None:
        """Return the answer, None where it is not known; check that its status is allowed."""
        process, crashes, episodes = self.process(), self.faults.crashes, self.faults.disk_episodes
        full, closing = self.faults.disk_full, process.closing
        with trio.move_on_after(ANSWER_S) as patience:
            answer = await self._exchange(process, caller, method, path, body, key)
        if patience.cancelled_caught:
            self.oracle.wrong("an answer comes", method, path)
            return None
        self.note("answer", caller, method, path, answer.status if answer else "lost")
        if answer is None:
            return None
        excused = set(allows)
        if self.faults.crashes > crashes:
            excused |= {500, 503}
        if full or closing or process.closing or self.faults.disk_episodes > episodes:
            excused.add(503)
        if answer.status not in excused:
            self.oracle.wrong("an answer is one of the contract's", method, path, answer)
        return answer

    async def _exchange(
        self, process: Process, caller: str, method: str, path: str, body: Any, key: str | None
    ) -> Answer | None:
        stream = process.connect()
        if stream is None:
            return None
        exchange = Exchange(stream, caller)
        try:
            headers = {"Idempotency-Key": key} if key else {}
            await exchange.send(method, path, body=body, headers=headers)
            return await exchange.answer()
        except Lost:
            if process.connect() is not None and not process.closing:
                self.oracle.wrong("a connection is kept", method, path)
            return None
        finally:
            await trio.aclose_forcefully(stream)

    # --- steps ---

    def step(self, step: Step) -> Callable[[], Awaitable[None]] | None:
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
        }
        act = known.get(step.kind)
        return None if act is None else (lambda: act(step))

    async def begin(self, owner: str = CALLERS[0], number: int = 1) -> Thing | None:
        """Make a conversation; None where it is not known whether it was made.

        Args:
            number: divisible by 3, it makes an idempotency key.
        """
        return await self._post(owner, "/api/conversations", {"title": "a talk"}, number)

    async def ask(
        self,
        talk: Thing,
        script: Script,
        on_active: str = "refuse",
        *,
        replaces: str | None = None,
        number: int = 1,
    ) -> Thing | None:
        """Start a job; None where it was refused, or is not known."""
        self.asked += 1
        question = f"question {self.asked}"
        self.scripts[question] = script
        body: dict[str, Any] = {"input": question, "model": MODEL, "on_active": on_active}
        body |= {"options": asdict(script)} | ({"replaces": replaces} if replaces else {})
        return await self._post(talk.owner, f"/api/conversations/{talk.id}/jobs", body, number)

    async def abort(self, job: Thing) -> None:
        """Stop a job, and check the answer against the log."""
        path = f"/api/jobs/{job.id}/abort"
        answer = await self.request(job.owner, "POST", path, allows=(200, 409))
        if answer:
            self._check_abort(job.id, answer)

    def follower(self, thing: Thing, cursor: int | None = 0, *, by_header: bool = True) -> Follower:
        """Return a reader of a job's or a conversation's log, which does not read yet."""
        follower = Follower(
            name=f"r{len(self.followers)}",
            caller=thing.owner,
            stream=f"{'jobs' if thing.conversation_id else 'conversations'}/{thing.id}",
            oracle=self.oracle,
            note=self.note,
            cursor=cursor,
            by_header=by_header,
        )
        self.followers.append(follower)
        return follower

    async def _begin(self, step: Step) -> None:
        await self.begin(pick(CALLERS, step.numbers[0]), step.numbers[1])

    async def _ask(self, step: Step) -> None:
        if not self.conversations:
            await self._begin(step)
            return
        talk = self.conversations[step.numbers[0] % min(4, len(self.conversations))]
        on_active = pick(("refuse", "replace", "replace", "queue", "queue"), step.numbers[2])
        fenced = on_active == "replace" and step.numbers[3] % 3 == 0
        await self.ask(
            talk,
            self._script(step.numbers[1]),
            on_active,
            replaces=self._fence(talk, step.numbers[4]) if fenced else None,
            number=step.numbers[5],
        )

    def _fence(self, talk: Thing, number: int) -> str:
        running = self.oracle.running.get(talk.id)
        if running and number % 3:
            return running
        return self.jobs[number % len(self.jobs)].id if self.jobs else "job_unheard_of"

    def _script(self, number: int) -> Script:
        ends = ALL_ENDS if self.bad_vendor else GOOD_ENDS
        return Script(
            seed=number % 9000,
            words=number // 3 % 9,
            pause_ms=WORD_PAUSES_MS[number // 31 % len(WORD_PAUSES_MS)],
            end=ends[number // 211 % len(ends)],  # type: ignore[arg-type]
            thinks=number % 5 == 0,
            counts=number % 4 == 0,
        )

    async def _post(
        self, owner: str, path: str, body: Mapping[str, Any], number: int, post: Post | None = None
    ) -> Thing | None:
        key = post.key if post else (f"key-{number}" if number % 3 == 0 else None)
        job = path.endswith("/jobs")
        allows: tuple[int, ...] = (202,) if job else (201,)
        if body.get("on_active") == "refuse" or "replaces" in body:
            allows += (409,)
        if body.get("on_active") == "queue":
            allows += (429,)
        answer = await self.request(owner, "POST", path, body=body, key=key, allows=allows)
        made = answer.json() if answer and answer.status in (201, 202) else None
        if answer and answer.status == HTTPStatus.CONFLICT:
            self._check_refusal(body, answer)
        if key and post is None:
            self.posts.append(
                Post(owner=owner, path=path, body=body, key=key, id=made and made["id"])
            )
        if not made or not answer:
            return None
        replayed = answer.headers.get("idempotent-replayed") == "true"
        if post and post.id and (made["id"] != post.id or not replayed):
            self.oracle.wrong("one key is one change", post, made["id"], replayed)
        if not replayed:
            action = "job.start" if job else "conversation.create"
            self._accept(action, made["id"], answer)
        return self._learn(owner, made, body, job=job)

    def _learn(self, owner: str, made: Any, body: Mapping[str, Any], *, job: bool) -> Thing:
        """Remember what was made, which must be durable by now."""
        stream = "" if job else f"conversations/{made['id']}"
        if (job and made["id"] not in self.oracle.jobs) or (
            stream and stream not in self.oracle.logs
        ):
            self.oracle.wrong("what is accepted is durable", made["id"])
        things = self.jobs if job else self.conversations
        for each in things:
            if each.id == made["id"]:
                return each
        script = self.scripts.get(body.get("input", ""), Script())
        talk = made.get("conversation_id", "")
        thing = Thing(id=made["id"], owner=owner, conversation_id=talk, script=script)
        things.append(thing)
        return thing

    def _check_refusal(self, body: Mapping[str, Any], answer: Answer) -> None:
        said = answer.json()
        if said["type"].endswith("job-active") and body["on_active"] == "refuse":
            if said["job_id"] not in self.oracle.jobs:
                self.oracle.wrong("a refusal names the running job", said)
        elif not (said["type"].endswith("job-changed") and "replaces" in body):
            self.oracle.wrong("a refusal says why", said)

    def _accept(self, action: str, object_id: str, answer: Answer) -> None:
        request_id = answer.headers["x-request-id"]
        self.accepted.append(Accepted(action=action, object_id=object_id, request_id=request_id))

    async def _again(self, step: Step) -> None:
        if self.posts:
            post = self.posts[-1 - step.numbers[0] % min(3, len(self.posts))]
            await self._post(post.owner, post.path, post.body, 0, post)

    async def _follow(self, step: Step) -> None:
        things = self.jobs or self.conversations
        if step.numbers[0] % 4 == 0:
            things = self.conversations
        if not things:
            return
        thing = things[-1 - step.numbers[1] % min(5, len(things))]
        stream = f"{'jobs' if thing.conversation_id else 'conversations'}/{thing.id}"
        places = (0, 0, None, step.numbers[3] % (1 + len(self.oracle.logs.get(stream, ()))))
        cursor, by_header = places[step.numbers[2] % 4], step.numbers[4] % 2 == 0
        await self.follower(thing, cursor, by_header=by_header).run(self.connect)

    async def _resume(self, step: Step) -> None:
        idle = [each for each in self.followers if not each.connected and not each.ended]
        if idle:
            follower = idle[step.numbers[0] % len(idle)]
            await follower.run(self.connect)

    async def _abort(self, step: Step) -> None:
        if self.jobs:
            await self.abort(self.jobs[-1 - step.numbers[0] % min(5, len(self.jobs))])

    def _check_abort(self, job_id: str, answer: Answer) -> None:
        end = self.oracle.jobs[job_id].end
        status = end["status"] if end else "unended"
        if answer.status == HTTPStatus.OK and {status, answer.json()["status"]} != {"aborted"}:
            self.oracle.wrong("an abort is answered after its end is committed", job_id, status)
        if answer.status == HTTPStatus.CONFLICT and answer.json()["job_status"] != status:
            self.oracle.wrong("a refused abort says how the job ended", job_id, status)

    async def _look(self, step: Step) -> None:
        if self.jobs:
            job = self.jobs[step.numbers[0] % len(self.jobs)]
            before = self.oracle.jobs[job.id].end
            answer = await self.request(job.owner, "GET", f"/api/jobs/{job.id}", allows=(200,))
            if answer and before and answer.json()["status"] != before["status"]:
                self.oracle.wrong("GET shows the end", job.id, answer.json()["status"], before)

    async def _page(self, step: Step) -> None:
        if self.jobs:
            job = self.jobs[step.numbers[0] % len(self.jobs)]
            stream = f"jobs/{job.id}"
            log = self.oracle.logs.get(stream, [])
            after, limit = step.numbers[1] % (len(log) + 1), 1 + step.numbers[2] % 7
            wait = step.numbers[3] % 3 if step.numbers[3] % 2 else 0
            path = f"/api/{stream}/events?after={after}&limit={limit}&wait={wait}"
            if answer := await self.request(job.owner, "GET", path, allows=(200,)):
                self._check_page(stream, after, answer)

    def _check_page(self, stream: str, after: int, answer: Answer) -> None:
        if answer.status != HTTPStatus.OK:
            return
        page = answer.json()
        bodies = self.oracle.logs.get(stream, [])[after : after + len(page["events"])]
        if not answer.body.startswith(b'{"events":[%b],' % b",".join(bodies)):
            self.oracle.wrong("a page is a piece of the log", stream, after, answer.body)
        if page["ended"] and not self.oracle.ended(stream.partition("/")[2]):
            self.oracle.wrong("ended says that the log has its end", stream)
        self.oracle.seen += len(bodies)

    async def _messages(self, step: Step) -> None:
        if self.conversations:
            talk = self.conversations[step.numbers[0] % len(self.conversations)]
            path = f"/api/conversations/{talk.id}/messages?limit={1 + step.numbers[1] % 9}"
            await self.request(talk.owner, "GET", path, allows=(200,))

    async def _intrude(self, step: Step) -> None:
        """Ask for somebody else's thing, and for a thing that never was: the answers are one."""
        if not self.jobs:
            return
        job = self.jobs[step.numbers[0] % len(self.jobs)]
        stranger = pick([each for each in CALLERS if each != job.owner], step.numbers[1])
        method, path = (
            ("GET", "/api/jobs/{}"),
            ("GET", "/api/jobs/{}/events"),
            ("POST", "/api/jobs/{}/abort"),
        )[step.numbers[2] % 3]
        answers = [
            await self.request(stranger, method, path.format(each), allows=(404,))
            for each in (job.id, "job_" + "0" * 26)
        ]
        told = [
            {k: v for k, v in each.json().items() if k != "instance"} for each in answers if each
        ]
        if len({orjson.dumps(each) for each in told}) > 1:
            self.oracle.wrong("what is another's is absent", job.id, told)
