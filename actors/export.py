"""A job as lines of JSON that replay it: inputs, messages to its actor, parts of its provider, log.

The first line names the format and its version, the second the job, the third what it was told.
Then come the events in order, each as the bytes that are kept, and before those that came of it the
part or message that made them (`actors.recorded`). `harness.replay` runs the job's actor again on
these and compares.

No secret is in an export: nothing of the settings, of endpoints but their names, of tokens and
sessions is read for it, and of a job's options numbers and truths only, since a text may be
anything; how a front's turn wants its answer, tools and all, stays out for the same reason. What
was said in the conversation is there as it is: it belongs to whoever asks for it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

import orjson
import trio

from actors.ending import stream_of
from actors.recorded import Causes, closes_with_the_end
from runtime import limits
from runtime.caller import Caller
from runtime.clock import rfc3339
from runtime.events import decode
from runtime.log import EventLog
from runtime.problems import NotFound
from store import jobs, messages, turns
from store.database import Database
from store.jobs import JobRow

VERSION: Final = 1
EVENT: Final = b'{"record":"event","event":'
PLAIN: Final = (bool, int, float, type(None))  # what an option may be and be no secret


def job_of(reader: Database, caller: Caller, job_id: str) -> JobRow:
    """Return the caller's job.

    Raises:
        NotFound: there is none, for this caller.
    """
    row = jobs.get(reader, caller, job_id)
    if row is None:
        raise NotFound("No such job.")
    return row


async def lines(
    reader: Database, log: EventLog, row: JobRow, made_by: str
) -> AsyncGenerator[bytes, None]:
    """Yield the export of a job, a page at a time; of one that runs, as far as its log goes.

    Args:
        made_by: this program and its version.
    """
    yield b"".join(_line(each) for each in _head(reader, row, made_by))
    stream, causes, cursor = stream_of(row.id), Causes(), 0
    closing: list[bytes] = []  # events of the end, which follows with its cause
    while segments := log.read(stream, after=cursor):
        page: list[bytes] = []
        for segment in segments:
            for record in segment.records:
                event, line = decode(record.body), EVENT + record.body + b"}\n"
                cause = causes.of(event)
                if closes_with_the_end(event):
                    closing.append(line)
                else:
                    page += [*([_line(cause)] if cause else ()), *closing, line]
                    closing.clear()
        cursor = segments[-1].last
        yield b"".join(page)
        await trio.lowlevel.checkpoint()


def _head(reader: Database, row: JobRow, made_by: str) -> tuple[Mapping[str, Any], ...]:
    spoken = messages.for_prompt(
        reader,
        row.conversation_id,
        before_position=2 * row.ordinal + 1,
        size_bytes=limits.PROMPT_BYTES_MAX,
    )
    told: dict[str, Any] = {
        "messages": [{"role": each.role, "text": each.text} for each in reversed(spoken)]
    }
    turn = turns.get_any(reader, row.id)
    if turn is not None and turn.deleted_at_ms is None:
        told["items"] = orjson.loads(turn.input)
    return (
        {"record": "export", "version": VERSION, "made_by": made_by},
        {
            "record": "job",
            "id": row.id,
            "conversation_id": row.conversation_id,
            "message_id": row.message_id,
            "model": row.model,
            "endpoint": row.endpoint,
            "created_at": rfc3339(row.created_at_ms),
            "options": plain(orjson.loads(row.options)),
        },
        {"record": "input"} | told,
    )


def plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that cannot be a secret."""
    return {name: value for name, value in options.items() if isinstance(value, PLAIN)}


def _line(record: Mapping[str, Any]) -> bytes:
    return orjson.dumps(record) + b"\n"
