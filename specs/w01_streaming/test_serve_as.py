"""`python3 -m harness serve-as`: the product as one caller; the product has no such switch."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from harness import serve_as
from specs.requirements import requirement
from specs.support.process import environment, runchat

WAIT_S = 30
ROOT = Path(__file__).parents[2]


@contextmanager
def serving(data: Path, tenant: str, user: str) -> Iterator[httpx.Client]:
    """A service as one caller, and a client without any credential."""
    words = [sys.executable, "-m", "harness", "serve-as", "--tenant", tenant, "--user", user]
    words += ["--port", "0", "--data", str(data), "--announce", "json", "--exit-with-parent"]
    env = environment(PYTHONPATH=os.environ.get("PYTHONPATH", ""))
    with (
        data.with_suffix(".log").open("ab") as log,
        subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=env, cwd=ROOT
        ) as process,
    ):
        assert process.stdout is not None, "stdout is a pipe"
        ready = json.loads(process.stdout.readline())
        with httpx.Client(base_url=ready["url"], timeout=WAIT_S) as client:
            yield client
        process.communicate(timeout=WAIT_S)
    assert process.returncode == 0


@requirement("harness.serve-as")
def test_every_request_is_one_caller_and_synthetic_is_allowed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serving(data, "acme", "ann") as client:
        talk = client.post("/api/conversations", json={"title": "mine"}).json()["id"]
        asked = client.post(
            f"/api/conversations/{talk}/jobs",
            json={"input": "go", "model": "synthetic/tokens", "options": {"count": 2}},
            headers={"Authorization": "Bearer whatever"},
        )
        assert asked.status_code == 202
        log = client.get(
            f"/api/jobs/{asked.json()['id']}/events", headers={"Accept": "text/event-stream"}
        )
        assert log.text.count("event: item.delta") == 2
        assert '"status":"completed","reason":"stop"' in log.text
    with serving(data, "acme", "bob") as client:
        assert client.get("/api/conversations").json()["items"] == []
        assert client.get(f"/api/conversations/{talk}").status_code == 404


def test_serve_as_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        serve_as.main(["--tenant", "acme"])
    assert refused.value.code == 2
    assert "--user" in capsys.readouterr().err


@requirement("harness.no-auth-switch")
def test_the_product_has_no_switch_that_turns_authentication_off() -> None:
    for flag in ("--tenant", "--user", "--no-auth", "--authenticator"):
        told = runchat("serve", flag, "x")
        assert (told.returncode, "unrecognized arguments" in told.stderr) == (2, True)
    product = [
        path
        for name in ("runtime", "store", "actors", "transports")
        for path in (ROOT / name).rglob("*.py")
    ]
    users = [path for path in product if "authenticator=" in path.read_text("utf-8")]
    assert [path.relative_to(ROOT).as_posix() for path in users] == ["transports/compose.py"]
