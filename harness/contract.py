"""The contract, written and kept: `python3 -m harness contract [--check]`.

`openapi.json` and `events.schema.json` are made from the code. During specs a `Proof` stands before
the app as ASGI middleware: every answer and every event of a stream is held against the two, and
what was shown is noted, so that at the end of a full run a route, or a status that an operation
calls its own, that nobody exercised is found.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson
from hypercorn.typing import ASGIFramework
from jsonschema import Draft202012Validator
from quart import Quart

from transports.ingress.http import events_schema, openai_errors, openapi
from transports.ingress.http.app import mount
from transports.ingress.http.operation import Operation

FOLDER: Final = Path(__file__).parent.parent / "specs" / "contract"
VERSION: Final = "1"  # of the contract, not of the program
PROBLEM: Final = "application/problem+json"
# What the framework and the gate may say at any address, and a bug: never an operation's own.
ANYWHERE: Final = frozenset({400, 403, 404, 405, 408, 413, 421, 500})
KEPT: Final = "/v1/stream/"
UI: Final = "/api/chat"  # the AI SDK's parts
FIRST_REFUSAL: Final = 400
DONE: Final = b"data: [DONE]"
Message = MutableMapping[str, Any]
Shown = tuple[str, str, int, str]  # method, path, status, name of the problem or ""


def documents() -> dict[str, dict[str, Any]]:
    """Return the contract as the code has it, by file name."""
    app = Quart("contract", static_folder=None)
    mount(app)
    return {
        "openapi.json": openapi.document(app, VERSION),
        "events.schema.json": events_schema.schema(),
    }


def written(document: dict[str, Any]) -> str:
    """Return a document as it is committed."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def drift() -> list[str]:
    """Return the committed files that the code no longer makes."""
    return [
        name
        for name, document in documents().items()
        if not (FOLDER / name).exists()
        or (FOLDER / name).read_text(encoding="utf-8") != written(document)
    ]


def main(arguments: list[str]) -> int:
    """Write the contract, or with `--check` say what has drifted."""
    if arguments == ["--check"]:
        drifted = drift()
        print("\n".join(f"specs/contract/{name} has drifted" for name in drifted) or "no drift")
        return 1 if drifted else 0
    FOLDER.mkdir(exist_ok=True)
    for name, document in documents().items():
        (FOLDER / name).write_text(written(document), encoding="utf-8")
    return 0


@cache
def _contract() -> tuple[dict[str, Any], dict[tuple[str, str], Operation]]:
    """Return the contract, and its operations by method and path: made once, nobody changes it."""
    app = Quart("proof", static_folder=None)
    mount(app)
    operations = {(method, path): known for path, method, known in openapi.operations(app)}
    return openapi.document(app, VERSION), operations


class Proof:
    """Holds answers against the contract and notes what was shown.

    Args:
        oracle: returns what is wrong with a good answer or an event in the words of OpenAI's API,
            given its address and itself.
    """

    def __init__(self, oracle: Callable[[str, Any], Iterable[str]] = lambda _, __: ()) -> None:
        self._oracle = oracle
        self._document, self.operations = _contract()
        self._patterns = [
            (re.compile(re.sub(r"{\w+}", "[^/]+", path.replace("{path}", ".+"))), path)
            for path in sorted(self._document["paths"], key=breadth)
        ]
        self._events = _events()
        self._validators: dict[str, Draft202012Validator] = {}
        self.shown: set[Shown] = set()
        self.violations: list[str] = []

    def watch(self, app: ASGIFramework) -> ASGIFramework:
        """Return the app with its answers held against the contract."""

        async def watched(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            answer: Any = _Answer(self, scope, send)
            await app(scope, receive, answer.send)

        return watched

    def unproved(self) -> list[str]:
        """Return what the contract promises and nobody has seen."""
        return [
            f"{method} {path} {status} {name}".strip()
            for (method, path), known in self.operations.items()
            for status, name in own(path, known)
            if (method, path, status, name) not in self.shown
        ]

    def judge(self, method: str, path: str, status: int, media_type: str, body: bytes) -> None:
        """Hold a whole answer against its operation and note it."""
        template = next((known for each, known in self._patterns if each.fullmatch(path)), "")
        method = "GET" if method == "HEAD" else method
        described = self._document["paths"].get(template, {}).get(method.lower())
        name = ""
        if media_type == PROBLEM and body:  # HEAD shows none
            name = self._problem(method, path, status, body)
        elif status >= FIRST_REFUSAL and body and openai_errors.speaks(path):
            name = str(orjson.loads(body)["error"]["code"])
        if described is not None:
            self.shown.add((method, template, status, name))
        if described is not None and "*/*" in _content(described, status):
            return  # sent as it is kept
        if described is None or str(status) not in described["responses"]:
            if status not in ANYWHERE and method != "OPTIONS":
                self._object(method, path, f"{status} is not in the contract")
        elif media_type == "application/json" and body:
            good = described["responses"][str(status)].get("content", {}).get(media_type)
            if good is None:
                self._object(method, path, f"{status} has no JSON in the contract")
            else:
                self._valid(method, path, good["schema"]["$ref"], orjson.loads(body))
                self._log_page(method, path, template, body)
                if status < FIRST_REFUSAL and openai_errors.speaks(path):
                    self._ask_oracle(method, path, orjson.loads(body))

    def events(self, method: str, path: str, frames: bytes) -> None:
        """Hold whole frames of a stream against the schema of events."""
        if path.startswith(KEPT):
            return  # a stream of anybody's values
        if openai_errors.speaks(path) or path.startswith(UI):
            for event in _events_in(frames.replace(DONE, b"")):
                self._ask_oracle(method, path, event)
            return
        for event in _events_in(frames):
            stream, bare = event.get("stream"), event.get("event")
            followed = f"/api/{stream}/events" if stream else path
            self._event(method, followed, bare if stream else event)

    def _log_page(self, method: str, path: str, template: str, body: bytes) -> None:
        if template.endswith("/events"):
            for event in orjson.loads(body)["events"]:
                self._event(method, path, event)

    def _ask_oracle(self, method: str, path: str, document: Any) -> None:
        for problem in self._oracle(path, document):
            self._object(method, path, problem)

    def _event(self, method: str, path: str, event: Any) -> None:
        for problem in self._events.problems(event, of_job=path.startswith("/api/jobs/")):
            self._object(method, path, problem)

    def _problem(self, method: str, path: str, status: int, body: bytes) -> str:
        document = orjson.loads(body)
        self._valid(method, path, "#/components/schemas/Problem", document)
        if document.get("status") != status:
            self._object(method, path, "the problem's status is not the answer's")
        return str(document["type"]).rpartition(":")[2]

    def _valid(self, method: str, path: str, ref: str, instance: Any) -> None:
        validator = self._validators.get(ref)
        if validator is None:
            whole = closed({"$ref": ref, "components": self._document["components"]})
            validator = self._validators[ref] = Draft202012Validator(whole)
        for error in validator.iter_errors(instance):
            self._object(method, path, f"{error.json_path}: {error.message}")

    def _object(self, method: str, path: str, what: str) -> None:
        self.violations.append(f"{method} {path}: {what}")


def breadth(path: str) -> tuple[bool, int]:
    """Return how much a path takes: one that takes any number of segments is looked at last."""
    return "{path}" in path, -len(path) if "{path}" in path else path.count("{")


def _content(described: dict[str, Any], status: int) -> dict[str, Any]:
    content: dict[str, Any] = described["responses"].get(str(status), {}).get("content", {})
    return content


def own(path: str, known: Operation) -> Iterator[tuple[int, str]]:
    """Yield the statuses that an operation calls its own, with the problem's name."""
    yield known.status, ""
    for status, _ in known.others:
        yield status, ""
    for kind in known.problems:
        if openai_errors.speaks(path):
            yield openai_errors.status_of(kind), openai_errors.code_of(kind)
        else:
            yield kind.status, kind.name()


def closed(schema: Any) -> Any:
    """Return the schema without room for fields it does not name: ours we must all name."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(value) for key, value in schema.items()}
    if made.get("type") == "object" and "properties" in made:
        made.setdefault("additionalProperties", False)
    return made


class _Events:
    """Validators of events, one a kind and log, since `oneOf` tries them all."""

    def __init__(self) -> None:
        schema = events_schema.schema()
        self._by_kind: dict[tuple[bool, str], Draft202012Validator] = {}
        for log in ("job_event", "conversation_event"):
            for each in schema["$defs"][log]["oneOf"]:
                name = each["$ref"].rpartition("/")[2]
                kind = schema["$defs"][name]["properties"]["kind"]["const"]
                whole = closed({**each, "$defs": schema["$defs"]})
                self._by_kind[log == "job_event", kind] = Draft202012Validator(whole)

    def problems(self, event: Any, *, of_job: bool) -> Iterator[str]:
        validator = self._by_kind.get((of_job, event.get("kind")))
        if validator is None:
            yield f"no event of this log is called {event.get('kind')}"
            return
        for error in validator.iter_errors(event):
            yield f"{event['kind']} {error.json_path}: {error.message}"


@cache
def _events() -> _Events:
    """Return the validators: made once, as the contract is."""
    return _Events()


class _Answer:
    """One answer on its way out; a stream is judged frame by frame, everything else whole."""

    def __init__(self, proof: Proof, scope: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        self._proof, self._send = proof, send
        self._method, self._path = scope["method"], scope["path"]
        self._status, self._media_type = 0, ""
        self._body = b""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = {bytes(name).lower(): bytes(value) for name, value in message["headers"]}
            self._media_type = headers.get(b"content-type", b"").decode().partition(";")[0]
            if self._streams:
                self._judge(b"")
        elif message["type"] == "http.response.body":
            self._body += message.get("body", b"")
            if self._streams:
                frames, _, self._body = self._body.rpartition(b"\n\n")
                self._proof.events(self._method, self._path, frames)
            elif not message.get("more_body", False):
                self._judge(self._body)
        await self._send(message)

    @property
    def _streams(self) -> bool:
        return self._media_type == "text/event-stream"

    def _judge(self, body: bytes) -> None:
        self._proof.judge(self._method, self._path, self._status, self._media_type, body)


def _events_in(frames: bytes) -> Iterator[dict[str, Any]]:
    for line in frames.split(b"\n"):
        if line.startswith(b"data: "):
            yield orjson.loads(line[6:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
