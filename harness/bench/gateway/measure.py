"""What it costs to ask a provider through us: beside asking it directly, and beside LiteLLM.

`gateway` is the service in front of an upstream that answers at once, which is asked directly in
the same run; "added" is the difference of the medians. Chunks are the upstream's: those that come
together are told together. `gateway-peer` is the same with LiteLLM beside it, put into a virtual
environment of its own on first use (0.8 GB; nothing of it is ever in ours).
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from harness import installing, setup
from harness.bench.figures import Line, Wrong, percentile
from harness.bench.gateway.client import Times, Way, ask
from harness.bench.gateway.upstream import CHUNKS
from harness.bench.machine import resident_bytes
from harness.bench.measure import Measure, Size
from harness.bench.service import SERVE, Process, Service
from harness.bench.wire import Http, Target, Unexpected

LITELLM: Final = ("litellm[proxy]==1.106.2",)
HOME: Final = setup.VENV / "peers" / "litellm"
START_S: Final = 90.0
KEY: Final = "sk-made-up-for-loopback"
CROWD: Final = 32
WARM: Final = 5
MIB: Final = 1024 * 1024
SETTINGS: Final = """
[endpoints.up]
base_url = "{url}/v1"
api_key = "made-up"
models = ["fake", "drip"]
concurrency = 64
allow_loopback = true
"""
PEER: Final = """
model_list:
  - {{model_name: "fake", litellm_params: {{model: "openai/fake", api_base: "{url}/v1",
     api_key: made-up}}}}
  - {{model_name: "drip", litellm_params: {{model: "openai/drip", api_base: "{url}/v1",
     api_key: made-up}}}}
litellm_settings: {{callbacks: [], num_retries: 0, telemetry: false}}
general_settings: {{master_key: {key}}}
router_settings: {{disable_cooldowns: true, num_retries: 0}}
"""


def run(folder: Path, size: Size) -> Mapping[str, float]:
    """Ask through us and directly, in turn; then leave in the middle of answers."""
    with _upstream() as upstream, _ours(folder, upstream) as (service, ours):
        direct = Way(name="direct", target=Target(upstream.port), model="fake")
        responses = Way(
            name="responses", target=ours.target, model=ours.model, path="/v1/responses"
        )
        found = _compare(direct, ours, size)
        stored = ask(responses, stream=False, connections=1, each=size.gateway_asked)
        bare = _bare(upstream, size)
        left = _leave(ours, f"{ours.model.partition('/')[0]}/drip", upstream, size)
        return {
            **found,
            **bare,
            "stored_ms": percentile(stored.whole, 0.5) * 1000,
            "left_p99_s": percentile(left, 0.99),
            "memory_mib": resident_bytes(service.pid) / MIB,
        }


def _bare(upstream: Process, size: Size) -> Mapping[str, float]:
    """Return what the libraries take by themselves, see `bare`."""
    with Process("-m", "harness.bench.gateway.bare", upstream.said["url"]) as relay:
        way = Way(name="bare", target=Target(relay.port), model="fake")
        few = max(1, size.gateway_asked // CROWD)
        ask(way, stream=False, connections=2, each=WARM)
        alone = ask(way, stream=False, connections=1, each=size.gateway_asked)
        crowd = ask(way, stream=False, connections=CROWD, each=2 * few)
        return {
            "bare_ms": percentile(alone.whole, 0.5) * 1000,
            "bare_per_s": len(crowd.whole) / crowd.all_s,
        }


def run_beside(folder: Path, size: Size) -> Mapping[str, float]:
    """Ask through us, through LiteLLM and directly.

    Raises:
        Unexpected: LiteLLM cannot be had here.
    """
    with ExitStack() as stack:
        upstream = stack.enter_context(_upstream())
        peer, peer_pid = stack.enter_context(_litellm(folder, upstream))
        service, ours = stack.enter_context(_ours(folder, upstream))
        direct = Way(name="direct", target=Target(upstream.port), model="fake")
        by_name: dict[str, float] = {}
        for name, way, pid in (("ours", ours, service.pid), ("peer", peer, peer_pid)):
            found = dict(_compare(direct, way, size))
            found["memory_mib"] = resident_bytes(pid) / MIB
            by_name |= {f"{name}_{key}": value for key, value in found.items()}
        return by_name


def _compare(direct: Way, way: Way, size: Size) -> Mapping[str, float]:
    """Return what asking through `way` takes, and adds to asking directly."""
    asked, few = size.gateway_asked, max(1, size.gateway_asked // CROWD)
    for each in (direct, way):
        ask(each, stream=False, connections=2, each=WARM)
        ask(each, stream=True, connections=2, each=WARM)
    alone: dict[str, Times] = {}
    streamed: dict[str, Times] = {}
    for each in (way, direct) if size.turn % 2 else (direct, way):
        alone[each.name] = ask(each, stream=False, connections=1, each=asked)
        streamed[each.name] = ask(each, stream=True, connections=1, each=asked)
    crowd = ask(way, stream=False, connections=CROWD, each=2 * few)
    streams = ask(way, stream=True, connections=CROWD, each=few)
    mine, theirs = streamed[way.name], streamed[direct.name]
    return {
        "json_ms": percentile(alone[way.name].whole, 0.5) * 1000,
        "direct_ms": percentile(alone[direct.name].whole, 0.5) * 1000,
        "json_per_s": len(crowd.whole) / crowd.all_s,
        "stream_added_ms": _added_ms(mine.whole, theirs.whole),
        "first_added_ms": _added_ms(mine.first, theirs.first),
        "chunks_per_s": CHUNKS * len(streams.whole) / streams.all_s,
    }


def _added_ms(mine: list[float], theirs: list[float]) -> float:
    return (percentile(mine, 0.5) - percentile(theirs, 0.5)) * 1000


def _leave(way: Way, model: str, upstream: Process, size: Size) -> list[float]:
    """Leave in the middle of answers; return how long each stayed open behind us."""
    request, gone = way.request(stream=True, model=model), []
    for _ in range(size.gateway_left):
        with Http(way.target) as http:
            http.send(request)
            http.until(b"tok ")
        gone.append(time.monotonic_ns())
    with Http(Target(upstream.port)) as http:
        deadline = time.monotonic() + START_S
        while len(seen := http.call("GET", "/left")) < len(gone):
            if time.monotonic() > deadline:
                raise Wrong(f"{len(seen)} of {len(gone)} answers were ended behind us.")
            time.sleep(0.01)
    return [(end - began) / 1e9 for began, end in zip(gone, sorted(seen), strict=True)]


@contextmanager
def _upstream() -> Iterator[Process]:
    with Process("-m", "harness.bench.gateway.upstream") as upstream:
        yield upstream


@contextmanager
def _ours(folder: Path, upstream: Process) -> Iterator[tuple[Service, Way]]:
    config = folder / "gateway.toml"
    config.write_text(SETTINGS.format(url=upstream.said["url"]), encoding="utf-8")
    data = folder / "data"
    start = (*SERVE, "--data", str(data), "--config", str(config))
    with Service(data, start=start) as service:
        yield service, Way(name="ours", target=service.target, model="up/fake")


@contextmanager
def _litellm(folder: Path, upstream: Process) -> Iterator[tuple[Way, int]]:
    with installing.alone(HOME.parent):
        if not installing.installed(HOME, LITELLM, _install):
            raise Unexpected("LiteLLM cannot be installed here.")
    config = folder / "litellm.yaml"
    config.write_text(PEER.format(url=upstream.said["url"], key=KEY), encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = str(HOME / "venv" / "bin" / "litellm")
    command = [program, "--config", str(config), "--host", "127.0.0.1"]
    quiet = {
        "PATH": f"{HOME / 'venv' / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}",
        "HOME": str(folder),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_TELEMETRY": "False",
        "DISABLE_ADMIN_UI": "True",
    }
    with (folder / "litellm.log").open("wb") as said:
        process = subprocess.Popen(
            [*command, "--port", str(port), "--num_workers", "1"],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env=quiet,
        )
        try:
            _await_port(process, port)
            yield Way(name="litellm", target=Target(port, KEY), model="fake"), process.pid
        finally:
            process.kill()
            process.wait()


def _install() -> bool:
    venv = HOME / "venv"
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "-q", *LITELLM]
    return installing.finishes(HOME, [sys.executable, "-m", "venv", str(venv)], pip)


def _await_port(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.2)
    raise Unexpected("LiteLLM did not start.")


def _lines(side: str = "", *, reach: bool = True) -> tuple[Line, ...]:
    """Return the lines of one way; `reach` says whether it has targets."""
    of = "" if reach else "(LiteLLM) "
    rows: tuple[tuple[str, str, str, float | None, float | None], ...] = (
        ("json_ms", "JSON request through it, p50", "ms", 2.5, None),
        ("json_per_s", f"the same at {CROWD} connections", "/s", None, 500),
        ("stream_added_ms", f"stream of {CHUNKS} chunks, added", "ms", 8, None),
        ("first_added_ms", "its first chunk, added", "ms", 2, None),
        ("chunks_per_s", f"chunks at {CROWD} connections", "/s", None, 10_000),
        ("memory_mib", "resident memory afterwards", "MiB", 140, None),
    )
    return tuple(
        Line(
            key=side + key,
            title=of + title,
            unit=unit,
            at_most=most if reach else None,
            at_least=least if reach else None,
        )
        for key, title, unit, most, least in rows
    )


GATEWAY = Measure(
    name="gateway",
    lines=(
        *_lines(),
        Line(key="direct_ms", title="(JSON request to the upstream itself, p50)", unit="ms"),
        Line(key="bare_ms", title="(the same libraries, only passing it on, p50)", unit="ms"),
        Line(key="bare_per_s", title=f"(the same at {CROWD} connections)", unit="/s"),
        Line(
            key="stored_ms",
            title="JSON request by Responses, stored, p50",
            unit="ms",
            durable=True,
        ),
        Line(
            key="left_p99_s",
            title="upstream closed after the client left, p99",
            unit="s",
            at_most=0.25,
        ),
    ),
    run=run,
)
PEERS = Measure(
    name="gateway-peer",
    lines=(*_lines("ours_"), *_lines("peer_", reach=False)),
    run=run_beside,
)
