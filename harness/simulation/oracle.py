"""What must hold of every commit and every read: the laws, kept beside the product and not by it.

Theory: the oracle hears of each transaction as SQLite has taken it, so it knows what is committed
without asking the paths that readers use. What breaks a law is written down, not raised: inside the
product it would be one more exception to recover from. The driver looks at them after each step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import trio

from harness.simulation.scripted import Scripted
from runtime.events import JOB_END
from runtime.log import Record
from store.writer import Write


@dataclass(slots=True)
class Job:
    """What the logs have told of one job."""

    id: str
    started: bool = False
    end: dict[str, Any] | None = None  # the data of its `job.ended`
    conversation_id: str = ""


@dataclass(slots=True)
class Oracle:
    """The committed logs of a run, and every law that was broken."""

    note: Callable[..., None]
    vendor: Scripted
    logs: dict[str, list[bytes]] = field(default_factory=dict)  # bodies, by stream
    jobs: dict[str, Job] = field(default_factory=dict)
    running: dict[str, str] = field(default_factory=dict)  # job by conversation, by job logs
    current: dict[str, str] = field(default_factory=dict)  # the same, by conversation logs
    shown: dict[str, int] = field(default_factory=dict)  # how far each stream has been announced
    times: dict[str, list[float]] = field(default_factory=dict)  # when each event was committed
    newest: dict[str, str] = field(default_factory=dict)  # the greatest id, by its prefix
    floor: dict[str, str] = field(default_factory=dict)  # the same, of the lives before
    wrongs: list[str] = field(default_factory=list)
    commits: int = 0
    seen: int = 0  # frames and page entries that clients have read

    def wrong(self, law: str, *details: object) -> None:
        """Write down that a law is broken."""
        sentence = f"{law}: {' '.join(map(str, details))}"
        self.wrongs.append(sentence)
        self.note("WRONG", sentence)

    # --- commits ---

    def committed(self, writes: Sequence[Write[Any]]) -> None:
        """Take what one transaction of the database has made durable."""
        self.commits += 1
        for write in writes:
            ended: dict[str, set[str]] = {"jobs": set(), "conversations": set()}
            for append in write.appends:
                for record in append.records:
                    self._take(append.stream, record, ended)
            if ended["jobs"] != ended["conversations"]:
                self.wrong("an end is one transaction in both logs", ended)
            if write.appends:
                said = ", ".join(f"{each.stream}+{len(each.records)}" for each in write.appends)
                self.note("commit", said)

    def _take(self, stream: str, record: Record, ended: dict[str, set[str]]) -> None:
        log = self.logs.setdefault(stream, [])
        noun, _, name = stream.partition("/")
        event = orjson.loads(record.body)
        if record.sequence != len(log) + 1 or event["sequence"] != record.sequence:
            self.wrong("sequences have no gap", stream, record.sequence, "after", len(log))
        if event["kind"] != record.kind:
            self.wrong("an event is what its record says", stream, record.kind)
        log.append(record.body)
        self.times.setdefault(stream, []).append(trio.current_time())
        if noun == "jobs":
            self._take_job(name, event["kind"], event["data"], ended)
        else:
            self._take_conversation(name, event["kind"], event["data"], ended)

    def _take_id(self, name: str) -> None:
        prefix = name.partition("_")[0]
        if name <= self.floor.get(prefix, ""):
            self.wrong("ids sort by birth", name, self.floor[prefix])
        self.newest[prefix] = max(name, self.newest.get(prefix, ""))

    def _take_job(
        self, job_id: str, kind: str, data: dict[str, Any], ended: dict[str, set[str]]
    ) -> None:
        job = self.jobs.setdefault(job_id, Job(job_id))
        if job.end is not None:
            self.wrong("nothing follows job.ended", job_id, kind)
        if kind == "job.started":
            if job.started:
                self.wrong("a job starts once", job_id)
            job.started, conversation_id = True, data["conversation_id"]
            if other := self.running.get(conversation_id):
                self.wrong("one running job a conversation", conversation_id, other, job_id)
            self.running[conversation_id] = job_id
            job.conversation_id = conversation_id
        elif not job.started and kind != JOB_END:
            self.wrong("a log begins with job.started", job_id, kind)
        if kind == JOB_END:
            job.end = data
            ended["jobs"].add(job_id)
            if self.running.get(job.conversation_id) == job_id:
                del self.running[job.conversation_id]
            self._judge_end(job, data)

    def _judge_end(self, job: Job, data: dict[str, Any]) -> None:
        status = data["status"]
        if status == "completed" and not self.vendor.marked(job.id):
            self.wrong("completed needs the terminal mark", job.id)
        if status in ("aborted", "superseded") and self.vendor.open_calls(job.id):
            self.wrong("the provider is closed before the end", job.id, status)
        successor = data.get("superseded_by")
        if (status == "superseded") != (successor is not None):
            self.wrong("a superseded job names its successor", job.id, data)
        if successor in self.jobs and self.jobs[successor].started:
            self.wrong("the old end comes before the new first event", job.id, successor)

    def _take_conversation(
        self, name: str, kind: str, data: dict[str, Any], ended: dict[str, set[str]]
    ) -> None:
        job_id = data.get("job_id", "")
        if kind == "message.added":
            if job_id not in self.jobs:
                self._take_id(job_id)
            self.jobs.setdefault(job_id, Job(job_id)).conversation_id = name
        elif kind == "conversation.created":
            self._take_id(name)
        elif kind == "job.current":
            if name in self.current:
                self.wrong("one current job a conversation", name, self.current[name], job_id)
            self.current[name] = job_id
        elif kind == JOB_END:
            ended["conversations"].add(job_id)
            if self.current.get(name) == job_id:
                del self.current[name]
            end = self.jobs[job_id].end
            if end is None or end["status"] != data["status"]:
                self.wrong("both logs tell one end", job_id, data["status"], end)

    # --- what is shown ---

    def announced(self, stream: str) -> None:
        """Take that readers of a stream are woken."""
        first = stream not in self.shown
        self.shown[stream] = len(self.logs.get(stream, ()))
        noun, _, name = stream.partition("/")
        if first and noun == "jobs":
            for job in self.jobs.values():
                if job.end and job.end.get("superseded_by") == name:
                    old = f"jobs/{job.id}"
                    if self.shown.get(old, 0) < len(self.logs[old]):
                        self.wrong("the old end is visible before the new first event", name)

    def restarted(self) -> None:
        """Take that a new process begins: readers that come now find all that is committed."""
        self.shown = {stream: len(log) for stream, log in self.logs.items()}
        self.floor = dict(self.newest)

    def read(self, who: str, stream: str, sequence: int, body: bytes) -> None:
        """Take what a client has been sent as an event of a stream."""
        self.seen += 1
        log = self.logs.get(stream, [])
        if not 1 <= sequence <= len(log):
            self.wrong("nobody sees what is not committed", who, stream, sequence, len(log))
        elif log[sequence - 1] != body:
            self.wrong("a committed event never changes", who, stream, sequence)

    def ended(self, job_id: str) -> bool:
        """Whether the job's end is committed."""
        job = self.jobs.get(job_id)
        return job is not None and job.end is not None

    @property
    def completed(self) -> int:
        """How many jobs were heard to the end."""
        return sum(job.end["status"] == "completed" for job in self.jobs.values() if job.end)

    def unfinished(self) -> list[str]:
        """Return the jobs whose logs have no end."""
        return [job.id for job in self.jobs.values() if job.end is None]
