"""The clients of a run: they ask, follow, abort, look, and say at once what may not be answered.

Theory: a client knows what it asked for and what went wrong on purpose meanwhile, so it can tell an
answer that the contract allows from one that it does not. What it cannot know (a request whose
connection was lost) it does not guess; the final look at the store settles it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from typing import Any

import trio

from harness.faults import Faults
from harness.simulation.badges import CALLERS, Badge, Badges
from harness.simulation.follower import Follower
from harness.simulation.machine import Note
from harness.simulation.oracle import Oracle
from harness.simulation.process import Process
from harness.simulation.scripted import MODEL, Script
from harness.simulation.wire import Answer, Asked, Lost
from runtime import limits


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
    sent_at_ms: int  # by the wall's clock


@dataclass(slots=True, kw_only=True)
class Clients:
    """All clients of a run."""

    faults: Faults
    oracle: Oracle
    note: Note
    process: Callable[[], Process]
    badges: Badges
    speaks_http: bool
    conversations: list[Thing] = field(default_factory=list)
    jobs: list[Thing] = field(default_factory=list)
    scripts: dict[str, Script] = field(default_factory=dict)  # by the text of the question
    followers: list[Follower] = field(default_factory=list)
    accepted: list[Accepted] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    asked: int = 0
    under_way: int = 0  # requests without an answer yet

    def connect(self, secret: str, room: int) -> Asked | None:
        """Return a way to ask the process of this moment; None where nobody listens."""
        return self.process().open(secret, room)

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
        badge: Badge | None = None,
    ) -> Answer | None:
        """Return the answer; None where it is not known, or what went wrong on purpose excuses it.

        Args:
            allows: the statuses that the contract gives it.
        """
        process, crashes, errors = self.process(), self.faults.crashes, self.faults.disk_errors
        badge = badge or self.badges.of(caller)
        full, closing = self.faults.disk_full, process.closing
        self.under_way += 1
        try:
            answer = await self._exchange(process, badge.secret, method, path, body, key)
        except trio.TooSlowError:
            self.oracle.wrong("an answer comes", method, path)
            return None
        finally:
            self.under_way -= 1
        self.note("answer", caller, method, path, answer.status if answer else "lost")
        if answer is None:
            return None
        excused = set(allows)
        if self.faults.crashes > crashes:
            excused |= {500, 503}
        if full or closing or process.closing or self.faults.disk_errors > errors:
            excused.add(503)
        if self.badges.state(badge) != "alive":
            excused.add(401)
        if answer.status not in excused:
            self.oracle.wrong("an answer is one of the contract's", method, path, answer)
        return answer if answer.status in allows else None

    async def _exchange(
        self, process: Process, caller: str, method: str, path: str, body: Any, key: str | None
    ) -> Answer | None:
        exchange = process.open(caller)
        if exchange is None:
            return None
        try:
            headers = {"Idempotency-Key": key} if key else {}
            return await exchange.answer(method, path, body=body, headers=headers)
        except Lost:
            if process.is_up and not process.closing:
                self.oracle.wrong("a connection is kept", method, path)
            return None
        finally:
            exchange.hang_up()

    # --- steps ---

    async def begin(self, owner: str = CALLERS[0], number: int = 1) -> Thing | None:
        """Make a conversation; None where it is not known whether it was made.

        Args:
            number: divisible by 3, it makes an idempotency key.
        """
        return await self.post(owner, "/api/conversations", {"title": "a talk"}, number)

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
        return await self.post(talk.owner, f"/api/conversations/{talk.id}/jobs", body, number)

    async def abort(self, job: Thing) -> None:
        """Stop a job, and check the answer against the log."""
        path = f"/api/jobs/{job.id}/abort"
        answer = await self.request(job.owner, "POST", path, allows=(200, 409))
        if answer:
            self._check_abort(job.id, answer)

    async def abort_silent(self) -> None:
        """Stop most of the jobs whose provider says nothing more: each would take two minutes."""
        for place, job in enumerate(self.jobs):
            if job.script.end == "stall" and place % 4 and not self.oracle.ended(job.id):
                await self.abort(job)

    def follower(self, thing: Thing, cursor: int | None = 0, *, by_header: bool = True) -> Follower:
        """Return a reader of a job's or a conversation's log, which does not read yet."""
        follower = Follower(
            name=f"r{len(self.followers)}",
            caller=thing.owner,
            badges=self.badges,
            stream=f"{'jobs' if thing.conversation_id else 'conversations'}/{thing.id}",
            oracle=self.oracle,
            note=self.note,
            cursor=cursor,
            by_header=by_header,
        )
        self.followers.append(follower)
        return follower

    async def post(
        self, owner: str, path: str, body: Mapping[str, Any], number: int, post: Post | None = None
    ) -> Thing | None:
        """Make a thing; None where it is not known whether it was made.

        Args:
            number: divisible by 3, it makes an idempotency key.
            post: what is sent once more, with its key.
        """
        key = post.key if post else (f"key-{number}" if number % 3 == 0 else None)
        job = path.endswith("/jobs")
        allows: tuple[int, ...] = (202,) if job else (201,)
        if body.get("on_active") == "refuse" or "replaces" in body:
            allows += (409,)
        if body.get("on_active") == "queue":
            allows += (429,)
        sent_at_ms = self.badges.wall.now_ms()
        answer = await self.request(owner, "POST", path, body=body, key=key, allows=allows)
        made = answer.json() if answer and answer.status in (201, 202) else None
        if answer and answer.status == HTTPStatus.CONFLICT:
            self._check_refusal(body, answer)
        if key and post is None:
            self.posts.append(
                Post(
                    owner=owner,
                    path=path,
                    body=body,
                    key=key,
                    id=made and made["id"],
                    sent_at_ms=sent_at_ms,
                )
            )
        if not made or not answer:
            return None
        replayed = answer.headers.get("idempotent-replayed") == "true"
        kept = post and self.badges.wall.latest_ms() - post.sent_at_ms < limits.IDEMPOTENCY_MS
        if kept and post and post.id and (made["id"] != post.id or not replayed):
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

    def _check_abort(self, job_id: str, answer: Answer) -> None:
        end = self.oracle.jobs[job_id].end
        status = end["status"] if end else "unended"
        if end is None and self.process().closing:
            return  # a store that has failed may have half of what it was told
        if answer.status == HTTPStatus.OK and {status, answer.json()["status"]} != {"aborted"}:
            self.oracle.wrong("an abort is answered after its end is committed", job_id, status)
        if answer.status == HTTPStatus.CONFLICT and answer.json()["job_status"] != status:
            self.oracle.wrong("a refused abort says how the job ended", job_id, status)

    def check_page(self, stream: str, after: int, answer: Answer) -> None:
        """Check a page of JSON against the log."""
        if answer.status != HTTPStatus.OK:
            return
        page = answer.json()
        bodies = self.oracle.logs.get(stream, [])[after : after + len(page["events"])]
        if not answer.body.startswith(b'{"events":[%b],' % b",".join(bodies)):
            self.oracle.wrong("a page is a piece of the log", stream, after, answer.body)
        if page["ended"] and not self.oracle.ended(stream.partition("/")[2]):
            self.oracle.wrong("ended says that the log has its end", stream)
        self.oracle.seen += len(bodies)
